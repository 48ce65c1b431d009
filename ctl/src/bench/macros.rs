//! How compiling a workflow grows with its tasks: processor time of `cargo check` for each task, of a large module and a
//! small one.
//!
//! The crate is written into the folder of the benchmark. Its dependencies are compiled once, into the target folder of
//! the checkout that built this program, with the versions of that checkout's lock file and without the network.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::Bench;
use super::plan::Plan;
use super::ratio::median;
use super::usage::ended_children_cpu;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;

/// What it is called where only a part of everything is measured.
pub(super) const WHAT: &str = "compiling workflows";

/// The ratio; the inner `Err` says why there is none.
pub(super) fn measure(
    bench: &Bench<'_>,
    plan: &Plan<'_>,
    output: &Output,
    config: &Config,
) -> Result<Result<f64, String>, Error> {
    let [small, large] = plan.compiled_sizes();
    let n_rounds = plan.long_rounds();
    let ratios = || {
        let module = Module::make(bench.folder, config)?;
        output.note("compiling the dependencies of a generated workflow");
        module.check(1)?;
        let mut ratios = Vec::with_capacity(n_rounds);
        for round in 0..n_rounds {
            let per_task = |n_tasks: u32| {
                let seconds = module.check(n_tasks)?;
                output.note(&format!("round {} of {n_rounds}: {WHAT}: {n_tasks} tasks, {seconds:.2} s", round + 1));
                Ok::<f64, String>(seconds / f64::from(n_tasks))
            };
            let of_small = per_task(small)?;
            ratios.push(per_task(large)? / of_small);
        }
        let ratio = median(ratios).filter(|ratio| ratio.is_finite());
        ratio.ok_or_else(|| "this system does not tell what processes use up".to_owned())
    };
    let ratio = ratios();
    // A terminal interrupts cargo together with this program.
    bench.stop_if_interrupted()?;
    Ok(ratio)
}

/// The crate with the module.
struct Module {
    folder: PathBuf,
    cargo: PathBuf,
}

impl Module {
    fn make(folder: &Path, config: &Config) -> Result<Self, String> {
        let sdk = Config::built_in_sdk();
        if !sdk.join("Cargo.toml").is_file() {
            return Err("the checkout that built this program is gone".to_owned());
        }
        let sdk = toml::Value::from(sdk.to_string_lossy().into_owned());
        let manifest = format!(
            "[package]\nname = \"large\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\ncloacina-workflow = {{ path = {sdk} }}\n"
        );
        let folder = folder.join("large");
        let written = fs::create_dir_all(folder.join("src"))
            .and_then(|()| fs::write(folder.join("Cargo.toml"), manifest))
            .and_then(|()| fs::copy(Config::built_in_lock(), folder.join("Cargo.lock")));
        written.map_err(|error| error.to_string())?;
        Ok(Self { folder, cargo: config.cargo.clone() })
    }

    /// Checks a chain of so many tasks; the processor time in seconds.
    fn check(&self, n_tasks: u32) -> Result<f64, String> {
        fs::write(self.folder.join("src/lib.rs"), source(n_tasks)).map_err(|error| error.to_string())?;
        let before = ended_children_cpu();
        let mut cargo = Command::new(&self.cargo);
        cargo.args(["check", "--offline", "--quiet", "--color", "never", "--manifest-path"]);
        cargo.arg(self.folder.join("Cargo.toml")).arg("--target-dir").arg(Config::built_in_target().join("bench"));
        let checked = cargo.env("CARGO_INCREMENTAL", "0").output();
        let checked = checked.map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !checked.status.success() {
            let said = String::from_utf8_lossy(&checked.stderr).into_owned();
            let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
            return Err(format!("cargo check failed: {first}"));
        }
        let used = ended_children_cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(used.unwrap_or_default().as_secs_f64())
    }
}

/// A chain of so many tasks, as a user would write it.
fn source(n_tasks: u32) -> String {
    let mut text = "//! A generated chain.\n\nuse cloacina_workflow::prelude::*;\n\n#[workflow(name = \"large\")]\n\
                    pub mod large {\n    use super::*;\n"
        .to_owned();
    for task in 0..n_tasks {
        let before = task.checked_sub(1).map(|before| format!("\"task_{before}\"")).unwrap_or_default();
        // Writing to a String cannot fail.
        write!(
            text,
            "\n    #[task(id = \"task_{task}\", dependencies = [{before}])]\n    \
             pub fn task_{task}(_: &mut Context<Value>) -> Result<(), TaskError> {{\n        Ok(())\n    }}\n"
        )
        .ok();
    }
    text.push_str("}\n");
    text
}
