//! The exit codes, and which error ends with which. Scripts rely on both.

use crate::error::Error;

/// All went well.
pub(crate) const SUCCESS: u8 = 0;
/// The run, or a check of a package, failed: the program worked, and the answer is no.
pub(crate) const FAILED: u8 = 1;
/// The command line, or what it names as input, is wrong.
pub(crate) const USAGE: u8 = 2;
/// The package could not be built or read.
pub(crate) const PACKAGE: u8 = 3;
/// The database or the engine had trouble.
pub(crate) const ENGINE: u8 = 4;
/// Interrupted from the keyboard.
pub(crate) const INTERRUPTED: u8 = 130;
/// Nobody reads the output any more: what a shell says of a program that the signal for it has ended.
pub(crate) const UNREAD: u8 = 141;

/// Errors of the engine that are mistakes in what was asked for: names, ids, inputs, and requests that do not fit.
#[rustfmt::skip]
const NAMED_WRONGLY: [&str; 17] = [
    "RUN0001", "RUN0002", "RUN0004", "RUN0005", "RUN0012", "RUN0013", "RUN0014", "RUN0017", "RUN0018", "RUN0019",
    "RUN0020", "RUN0022",
    "SIG0013", "SIG0014", "SIG0015", "SIG0016", "SIG0017",
];

/// The exit code of an error.
pub(crate) fn code(error: &Error) -> u8 {
    match error {
        Error::CommandLine { .. }
        | Error::UnknownCode { .. }
        | Error::BadPackageName { .. }
        | Error::FolderNotEmpty { .. }
        | Error::NoSdk { .. }
        | Error::NeitherCrateNorArchive { .. }
        | Error::InputNotJson { .. }
        | Error::InputNotAnObject { .. }
        | Error::InputNotExact { .. }
        | Error::ChooseWorkflow { .. }
        | Error::UnknownWorkflow { .. }
        | Error::BadRunId { .. }
        | Error::BadConfig { .. }
        | Error::NoDatabase
        | Error::BadSetting { .. }
        | Error::AmbiguousRun { .. }
        | Error::UnknownRunPrefix { .. }
        | Error::NoRuns
        | Error::NoDatabaseYet { .. }
        | Error::BadMoment { .. }
        | Error::UnknownTask { .. }
        | Error::UnknownKey { .. }
        | Error::WorkflowNotThere { .. }
        | Error::NoKeyFolder
        | Error::BadKeyName { .. }
        | Error::KeyExists { .. }
        | Error::UnknownKeyName { .. }
        | Error::BadSecret { .. }
        | Error::UnknownPackageTask { .. }
        | Error::NothingInline { .. }
        | Error::NothingToMeasure { .. }
        | Error::ServerBackup { .. }
        | Error::Io { .. } => USAGE,
        Error::OwnedElsewhere { .. } | Error::NothingRuns { .. } | Error::Examine { .. } => ENGINE,
        Error::TimedOut { .. } => FAILED,
        Error::Interrupted { .. } | Error::BenchInterrupted | Error::BackupInterrupted { .. } => INTERRUPTED,
        Error::Unread { .. } => UNREAD,
        Error::Measure { .. } | Error::MeasuredRun { .. } => ENGINE,
        Error::OfFile(_) | Error::Package(_) | Error::Build(_) | Error::Sign(_) => PACKAGE,
        Error::Registry(error) => engine_code(error.code()),
        Error::Socket(error) => engine_code(error.code()),
        Error::Engine(error) => engine_code(error.code()),
    }
}

/// The errors of engine and registry come from several layers, which their codes tell apart.
fn engine_code(code: &str) -> u8 {
    match code.get(..3) {
        // What was asked for is not there, or does not fit the state of the run.
        _ if NAMED_WRONGLY.contains(&code) => USAGE,
        // The archive, its descriptor, its library, its signatures, or its place in the registry.
        Some("PKG" | "DSC" | "LIB" | "REG" | "SIG") => PACKAGE,
        _ => ENGINE,
    }
}
