//! The arguments.

use cloacina::Isolation;

use super::Failure;

/// What is asked for.
pub(crate) struct Options {
    /// How often the version changes.
    pub(crate) swaps: usize,
    /// Runs that are under way at any time.
    pub(crate) in_flight: usize,
    /// Where the versions run.
    pub(crate) isolation: Isolation,
}

/// Reads the arguments.
pub(crate) fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options { swaps: 1000, in_flight: 64, isolation: Isolation::Inline };
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--swaps" => options.swaps = value.parse()?,
            "--in-flight" => options.in_flight = value.parse()?,
            "--isolation" if value == "inline" => options.isolation = Isolation::Inline,
            "--isolation" if value == "process" => options.isolation = Isolation::Process,
            _ => return Err("usage: swap [--swaps N] [--in-flight N] [--isolation inline|process]".into()),
        }
    }
    if options.swaps == 0 || options.in_flight == 0 {
        return Err("both numbers must be at least 1".into());
    }
    Ok(options)
}
