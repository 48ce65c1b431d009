//! The only place that prints.
//!
//! stdout is for data: what was asked for, as text or as one JSON document. stderr is for everything else: progress,
//! notes, warnings, errors. On a terminal, progress is drawn in lines that change ([`Live`]), and tables are made to fit;
//! otherwise, and on a terminal that cannot move its cursor, progress is plain lines, and nothing is cut. Color never
//! carries meaning alone. A closed pipe is not an error.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style};
use cloacina::Timestamp;
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::cli::{ColorWhen, Format, GlobalOptions};
use crate::config::Config;
use crate::document::Document;
use crate::echo::NoEcho;
use crate::error::Error;
use crate::table;

/// A terminal with so many columns has room for everything.
const WIDE: usize = 140;
/// How often a spinner turns; often enough to look alive.
const TICK: Duration = Duration::from_millis(100);

/// Prints what commands have to say.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
    stdout: Paint,
    stderr: Paint,
    bars: MultiProgress,
    live: bool,
    /// Held by the lines that change.
    echo: Arc<Mutex<Weak<NoEcho>>>,
}

impl Output {
    pub(crate) fn new(options: &GlobalOptions, config: &Config) -> Self {
        let paint = |terminal: Option<Term>| Paint {
            on: match options.color {
                ColorWhen::Always => true,
                ColorWhen::Never => false,
                ColorWhen::Auto => terminal.is_some() && !config.no_color && !config.is_dumb,
            },
            size: terminal
                .and_then(|terminal| terminal.size_checked())
                .map(|(rows, columns)| (rows.into(), columns.into())),
        };
        let live = io::stderr().is_terminal() && !options.quiet && !config.is_dumb;
        Self {
            format: options.output,
            quiet: options.quiet,
            stdout: paint(io::stdout().is_terminal().then(Term::stdout)),
            stderr: paint(io::stderr().is_terminal().then(Term::stderr)),
            bars: MultiProgress::with_draw_target(match live {
                true => ProgressDrawTarget::stderr(),
                false => ProgressDrawTarget::hidden(),
            }),
            live,
            echo: Arc::default(),
        }
    }

    /// The same without notes and without progress.
    pub(crate) fn silent(&self) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Self {
            format: self.format,
            quiet: true,
            stdout: self.stdout,
            stderr: self.stderr,
            bars,
            live: false,
            echo: self.echo.clone(),
        }
    }

    /// The colors of stderr.
    pub(crate) fn paint_notes(&self) -> Paint {
        self.stderr
    }

    /// The width of a line of a help text, in cells; none if it is not known.
    pub(crate) fn help_width(&self) -> Option<usize> {
        self.stdout.size.map(|(_, columns)| columns)
    }

    /// Whether stdout gets colors.
    pub(crate) fn paints(&self) -> bool {
        self.stdout.on
    }

    /// Whether stderr gets colors.
    pub(crate) fn paints_notes(&self) -> bool {
        self.stderr.on
    }

    /// Whether progress is drawn in lines that change.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }

    /// Prints the answer: `text` for people, or `value` as JSON.
    pub(crate) fn answer(&self, value: &impl Document, text: impl FnOnce(Paint) -> String) -> Result<(), Error> {
        match self.format {
            Format::Human => self.data(text(self.stdout).as_bytes()),
            Format::Json => {
                let mut document = serde_json::to_string_pretty(value).map_err(unshown)?;
                document.push('\n');
                self.data(document.as_bytes())
            }
        }
    }

    /// Prints one part of an answer that has no end yet: text for people, or one line of JSON.
    pub(crate) fn part(&self, value: &impl Document, text: impl FnOnce(Paint) -> String) -> Result<(), Error> {
        match self.format {
            Format::Human => self.data(text(self.stdout).as_bytes()),
            Format::Json => {
                let mut line = serde_json::to_string(value).map_err(unshown)?;
                line.push('\n');
                self.data(line.as_bytes())
            }
        }
    }

    /// Prints a help text, in color where stdout has it.
    pub(crate) fn help(&self, text: &StyledStr) -> Result<(), Error> {
        match self.paints() {
            true => self.data(text.ansi().to_string().as_bytes()),
            false => self.data(text.to_string().as_bytes()),
        }
    }

    /// Prints bytes on stdout as they are.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Io { action: "write to", path: "stdout".into(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// A line about what is going on; left out when quiet.
    pub(crate) fn note(&self, line: &str) {
        if !self.quiet {
            self.say(line);
        }
    }

    /// What another program says of a mistake; never left out.
    pub(crate) fn diagnostic(&self, line: &str) {
        self.say(line);
    }

    /// A warning with its code.
    pub(crate) fn warning(&self, warning: &Warning) {
        let label = self.stderr.yellow(&format!("warning[{}]", warning.code));
        self.say(&format!("{label}: {}", warning.message));
    }

    /// A line of the engine's log; one that a package wrote is left out when quiet.
    pub(crate) fn log(&self, line: &LogLine) {
        match self.format {
            _ if line.is_of_package && self.quiet => {}
            Format::Json => {
                let document = serde_json::to_string(&LogDocument { log: line });
                self.say(&document.expect("invariant: a line is made of strings and numbers"));
            }
            Format::Human => self.say(&line.text(self.stderr)),
        }
    }

    /// An error with its causes, its hints and its page.
    pub(crate) fn error(&self, error: &Error) {
        let problem = Problem::new(error.code(), error.to_string(), causes(error), error.hints());
        match self.format {
            Format::Json => {
                let document = serde_json::to_string(&ErrorDocument { error: &problem });
                self.say(&document.expect("invariant: a problem is made of strings and lists"));
            }
            Format::Human => {
                self.say(problem.text("", self.stderr).trim_end());
                if let Some(usage) = error.usage() {
                    self.say(&format!("\n{usage}"));
                }
            }
        }
    }

    /// A line at the bottom of the terminal that changes; `template` is indicatif's. Invisible without a terminal.
    pub(crate) fn live(&self, template: &str) -> Live {
        let bar = self.bars.add(ProgressBar::no_length().with_style(style(template)));
        if self.live {
            bar.enable_steady_tick(TICK);
        }
        Live { bar, _echo: self.live.then(|| self.silence()).flatten() }
    }

    /// What keeps the terminal silent as long as there are lines that change.
    fn silence(&self) -> Option<Arc<NoEcho>> {
        let mut held = self.echo.lock().unwrap_or_else(PoisonError::into_inner);
        held.upgrade().or_else(|| {
            let begun = Arc::new(NoEcho::begin()?);
            *held = Arc::downgrade(&begun);
            Some(begun)
        })
    }

    /// Writes a line on stderr, above whatever is live. Nothing can be done where stderr does not take it.
    fn say(&self, line: &str) {
        self.bars.suspend(|| writeln!(io::stderr().lock(), "{line}").ok());
    }
}

/// A line of the engine's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogLine {
    /// The level: `error`, `warning` or `info`.
    pub(crate) level: &'static str,
    /// The line in words.
    pub(crate) message: String,
    /// The fields of the line, by name. A line that a package wrote has `package`, `pid` and `module`.
    pub(crate) fields: Map<String, Value>,
    /// Whether a package wrote it; then its name, the process and the place in the package are among the fields.
    #[serde(skip)]
    pub(crate) is_of_package: bool,
}

/// A line of the engine's log, on stderr.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogDocument<'a> {
    /// The line.
    log: &'a LogLine,
}

impl Document for LogDocument<'_> {}

impl LogLine {
    /// The line for people: the source, the event, and its object in brackets.
    fn text(&self, paint: Paint) -> String {
        let told = |name: &str| self.fields.get(name).map(shown).filter(|_| self.is_of_package);
        let source = match (told("package"), told("pid"), told("module")) {
            (Some(package), Some(pid), Some(module)) => paint.dim(&format!("{package}[{pid}] {module}: ")),
            _ => String::new(),
        };
        let is_stream = matches!(told("module").as_deref(), Some("stdout" | "stderr"));
        let label = match self.level {
            "error" if !is_stream => paint.red("error: "),
            "warning" if !is_stream => paint.yellow("warning: "),
            _ => String::new(),
        };
        let is_source = |name: &str| !source.is_empty() && ["package", "pid", "module"].contains(&name);
        let rest = self.fields.iter().filter(|(name, _)| !is_source(name));
        let rest: Vec<String> = rest.map(|(name, value)| format!("{name}: {}", shown(value))).collect();
        let rest = if rest.is_empty() { String::new() } else { format!(" ({})", rest.join(", ")) };
        format!("{label}{source}{}{rest}", self.message)
    }
}

/// What an error was caused by, the nearest first.
pub(crate) fn causes(error: &dyn StdError) -> Vec<String> {
    std::iter::successors(error.source(), |cause: &&dyn StdError| (*cause).source()).map(ToString::to_string).collect()
}

/// Texts without quotation marks.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is to be known of a package, though it is sound.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Warning {
    /// The code of the warning, which has a page in `docs/errors`.
    pub(crate) code: Cow<'static, str>,
    /// The warning in words.
    pub(crate) message: String,
}

impl Warning {
    pub(crate) fn of_package(warning: &cloacina_packager::Warning) -> Self {
        Self { code: warning.code().into(), message: warning.to_string() }
    }
}

/// An error or a finding.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The code of the error, which has a page in `docs/errors`.
    code: String,
    /// The error in words.
    message: String,
    /// The causes of the error, the nearest first.
    causes: Vec<String>,
    /// What to do about it.
    hints: Vec<String>,
    /// The command that explains the error.
    explain: String,
}

impl Problem {
    pub(crate) fn new(code: &str, message: String, causes: Vec<String>, hints: Vec<String>) -> Self {
        Self { explain: format!("cloacina-ctl explain {code}"), code: code.to_owned(), message, causes, hints }
    }

    pub(crate) fn of_package(error: &cloacina_packager::Error) -> Self {
        Self::new(error.code(), error.to_string(), Vec::new(), error.hints())
    }

    /// The lines, each with `indent` in front.
    pub(crate) fn text(&self, indent: &str, paint: Paint) -> String {
        let mut lines = vec![format!("{}: {}", paint.red(&format!("error[{}]", self.code)), self.message)];
        lines.extend(self.causes.iter().map(|cause| format!("  {} {cause}", paint.dim("caused by:"))));
        lines.extend(self.hints.iter().map(|hint| format!("  {} {hint}", paint.cyan("hint:"))));
        lines.push(format!("  {}", paint.dim(&format!("more: {}", self.explain))));
        let lines = lines.iter().flat_map(|line| line.lines()).map(|line| format!("{indent}{line}\n"));
        lines.collect()
    }
}

/// An error, on stderr. The exit code of the program says the same in a number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDocument<'a> {
    /// The error.
    error: &'a Problem,
}

impl Document for ErrorDocument<'_> {}

/// A line that changes.
#[derive(Debug)]
pub(crate) struct Live {
    bar: ProgressBar,
    _echo: Option<Arc<NoEcho>>,
}

impl Live {
    pub(crate) fn set(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }

    pub(crate) fn set_position(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// Begins anew in another form: its time counts from now.
    pub(crate) fn restart(&self, template: &str) {
        self.bar.set_style(style(template));
        self.bar.reset_elapsed();
    }

    /// Stops changing, and stays where it is.
    pub(crate) fn freeze(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.finish_with_message(message);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }
}

/// The style of text on a stream: with colors or without, and within the size of a terminal if it is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
    /// Rows and columns.
    size: Option<(usize, usize)>,
}

impl Paint {
    /// Rows as columns, each line with `indent` in front.
    pub(crate) fn columns(self, rows: impl IntoIterator<Item = Vec<String>>, indent: &str) -> String {
        table::columns(rows, indent, self.size.map(|(_, columns)| columns))
    }

    /// A moment: to the microsecond, and where there is little room to the minute.
    pub(crate) fn moment(self, at: Timestamp) -> String {
        let text = at.to_string();
        match self.is_narrow() {
            true => text.get(..16).map(|minute| minute.replace('T', " ")).unwrap_or(text),
            false => text,
        }
    }

    /// A moment among others of about the same day: where there is little room, its time alone.
    pub(crate) fn time(self, at: Timestamp) -> String {
        let text = at.to_string();
        match self.is_narrow() {
            true => text.get(11..23).map(str::to_owned).unwrap_or(text),
            false => text,
        }
    }

    fn is_narrow(self) -> bool {
        self.size.is_some_and(|(_, columns)| columns < WIDE)
    }

    /// The beginning of a line that changes, which must not be broken; `n_taken` cells of it are for something else.
    pub(crate) fn fitting(self, line: &str, n_taken: usize) -> String {
        match self.size {
            Some((_, columns)) => table::cut(line, columns.saturating_sub(n_taken)),
            None => line.to_owned(),
        }
    }

    /// The number of visible lines; none if it is not known.
    pub(crate) fn n_rows(self) -> Option<usize> {
        self.size.map(|(rows, _)| rows)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default().bold(), text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with(AnsiColor::Green.on_default().bold(), text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.with(AnsiColor::Yellow.on_default().bold(), text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.with(AnsiColor::Cyan.on_default(), text)
    }

    fn with(self, style: Style, text: &str) -> String {
        match self.on {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.progress_chars("=> ")
}

/// A number of bytes, for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
/// Answers are structs of strings, numbers and lists, and of paths, which need not be UTF-8.
fn unshown(error: serde_json::Error) -> Error {
    Error::CommandLine {
        message: format!("the answer cannot be given as JSON: {error}"),
        tips: Vec::new(),
        usage: String::new(),
    }
}
