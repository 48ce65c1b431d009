//! Runs `cargo rustc`, tells how far it is, and finds what it built.
//!
//! ```text
//! cargo ── stdout: JSON messages ──> thread ─┐
//!       ── stderr: lines for people ─> thread ─┴─> one queue ──> progress, diagnostics, the library's path
//! ```

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};

use cargo_metadata::{Artifact, CrateType, Message, PackageId, TargetKind};

use super::error::Error;
use super::locate::Located;
use super::pack::Options;
use super::paths::{remap_config, remap_own};
use crate::target::Target;

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Cargo is started for one of several targets.
    Target {
        /// Its triple.
        triple: String,
    },
    /// Cargo starts to compile a crate.
    Compiling {
        /// Its name and version.
        name: String,
    },
    /// A crate is compiled, or was before.
    Compiled {
        /// Its name.
        name: String,
        /// How many are compiled.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// Another line of cargo about itself: waiting, downloading, finished.
    Status(String),
    /// A line of a warning or an error, as cargo renders it.
    Diagnostic(String),
    /// The library is compiled and becomes an archive.
    Packing,
}

/// What comes from cargo.
enum Event {
    Message(Box<Message>),
    Line(String),
}

/// How many events may wait; cargo waits for us after that.
const EVENTS_MAX: usize = 256;
/// How much of the diagnostics an error keeps.
const DIAGNOSTICS_BYTES_MAX: usize = 256 << 10;

/// The words with which cargo talks about itself.
const STATUS_WORDS: &[&str] = &[
    "Adding",
    "Blocking",
    "Checking",
    "Dirty",
    "Downgrading",
    "Downloaded",
    "Downloading",
    "Finished",
    "Fresh",
    "Locking",
    "Removing",
    "Running",
    "Updating",
    "Upgrading",
];

/// Compiles the package for a target, or for this machine, and returns the path of its shared library.
pub(super) fn compile(
    located: &Located,
    options: &Options,
    target: Option<Target>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, Error> {
    let mut command = command(located, options, target);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let started = command.spawn();
    let mut cargo = started.map_err(|source| Error::CargoNotFound { program: options.cargo.clone(), source })?;
    let package = &located.package;
    let mut watch = Watch { package: &package.id, expected: located.compiled(), done: BTreeSet::new(), library: None };
    let mut diagnostics = String::new();
    let streams = (cargo.stdout.take(), cargo.stderr.take());
    std::thread::scope(|scope| {
        let (sender, events) = sync_channel(EVENTS_MAX);
        if let (Some(stdout), Some(stderr)) = streams {
            let lines = sender.clone();
            scope.spawn(move || send_messages(stdout, &sender));
            scope.spawn(move || send_lines(stderr, &lines));
        }
        for event in events {
            match event {
                Event::Message(message) => watch.message(&message, progress),
                Event::Line(line) => {
                    let told = tell(line);
                    if let Progress::Diagnostic(line) = &told
                        && diagnostics.len() + line.len() < DIAGNOSTICS_BYTES_MAX
                    {
                        diagnostics.push_str(line);
                        diagnostics.push('\n');
                    }
                    progress(told);
                }
            }
        }
    });
    let path = package.manifest_path.clone().into_std_path_buf();
    let status = cargo.wait().map_err(|source| Error::Io { action: "wait for cargo on", path, source })?;
    let package = package.name.to_string();
    if !status.success() {
        return Err(Error::Compile { package, status: status.code(), diagnostics });
    }
    watch.library.ok_or(Error::NoArtifact { package })
}

fn command(located: &Located, options: &Options, target: Option<Target>) -> Command {
    let mut command = Command::new(&options.cargo);
    command.arg("rustc").arg("--manifest-path").arg(&located.package.manifest_path);
    // Cargo drops link-time optimization for several crate types, so there is exactly one.
    command.args(["--lib", "--crate-type", "cdylib", "--message-format", "json-render-diagnostics"]);
    let profile = options.profile.as_deref().unwrap_or(Options::DEFAULT_PROFILE);
    command.args(["--profile", profile]);
    if profile == Options::DEFAULT_PROFILE {
        command.args(["--config", "profile.release.lto=\"thin\"", "--config", "profile.release.strip=true"]);
    }
    command.arg("--config").arg(remap_config(located, options));
    command.args(["--color", if options.color { "always" } else { "never" }]);
    if !options.features.is_empty() {
        command.arg("--features").arg(options.features.join(","));
    }
    if options.all_features {
        command.arg("--all-features");
    }
    if options.no_default_features {
        command.arg("--no-default-features");
    }
    if let Some(target_dir) = &options.target_dir {
        command.arg("--target-dir").arg(target_dir);
    }
    if let Some(target) = target {
        command.args(["--target", target.triple()]);
    }
    command.args(options.lock_arguments());
    command.arg("--").arg(remap_own(located));
    // Cargo searches for its settings from here upwards.
    command.current_dir(located.folder());
    command
}

/// What was built so far.
struct Watch<'a> {
    package: &'a PackageId,
    expected: BTreeSet<PackageId>,
    done: BTreeSet<PackageId>,
    library: Option<PathBuf>,
}

impl Watch<'_> {
    fn message(&mut self, message: &Message, progress: &mut dyn FnMut(Progress)) {
        let Message::CompilerArtifact(artifact) = message else { return };
        if artifact.target.kind.contains(&TargetKind::CustomBuild) {
            return;
        }
        if artifact.package_id == *self.package {
            self.library = shared_library(artifact).or_else(|| self.library.take());
        }
        if self.done.insert(artifact.package_id.clone()) {
            let total = self.expected.len().max(self.done.len());
            progress(Progress::Compiled { name: artifact.target.name.clone(), done: self.done.len(), total });
        }
    }
}

fn shared_library(artifact: &Artifact) -> Option<PathBuf> {
    if !artifact
        .target
        .crate_types
        .iter()
        .any(|kind| matches!(kind, CrateType::CDyLib | CrateType::Lib | CrateType::RLib))
    {
        return None;
    }
    let is_shared = |path: &&Path| {
        path.extension().is_some_and(|extension| ["so", "dylib", "dll"].iter().any(|known| extension == *known))
    };
    artifact.filenames.iter().map(|path| path.as_std_path()).find(is_shared).map(Path::to_owned)
}

/// Ends when cargo closes the stream, or the receiver is gone.
fn send_messages(stream: impl Read, sender: &SyncSender<Event>) {
    for message in Message::parse_stream(BufReader::new(stream)).map_while(Result::ok) {
        if sender.send(Event::Message(Box::new(message))).is_err() {
            return;
        }
    }
}

/// As `send_messages`; a line that is not UTF-8 is shown as well as it can be.
fn send_lines(stream: impl Read, sender: &SyncSender<Event>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        if sender.send(Event::Line(line)).is_err() {
            return;
        }
    }
}

fn tell(line: String) -> Progress {
    let plain = without_colors(&line);
    let Some((word, rest)) = plain.trim_start().split_once(' ').filter(|_| plain.starts_with("  ")) else {
        return Progress::Diagnostic(line);
    };
    match word {
        "Compiling" => {
            let name: Vec<_> = rest.split(' ').take(2).collect();
            Progress::Compiling { name: name.join(" ") }
        }
        word if STATUS_WORDS.contains(&word) => Progress::Status(line),
        _ => Progress::Diagnostic(line),
    }
}

/// The line without escape sequences that end in `m`.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_cargo_are_told_apart() {
        let compiling = "\u{1b}[1m\u{1b}[32m   Compiling\u{1b}[0m serde v1.0.0 (/somewhere)".to_owned();
        assert_eq!(tell(compiling), Progress::Compiling { name: "serde v1.0.0".to_owned() });
        let finished = "    Finished `release` profile [optimized] target(s) in 1s".to_owned();
        assert_eq!(tell(finished.clone()), Progress::Status(finished));
        for line in ["error[E0308]: mismatched types", "  --> src/lib.rs:1:1", "", "   |"] {
            assert_eq!(tell(line.to_owned()), Progress::Diagnostic(line.to_owned()));
        }
    }
}
