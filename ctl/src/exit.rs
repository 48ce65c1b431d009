//! The exit codes, and which error ends with which. Scripts rely on both.

use cloacina::Class;

use crate::error::{Error, OfFile};

/// All went well.
pub(crate) const SUCCESS: u8 = 0;
/// The run, or a check of a package, failed: the program worked, and the answer is no.
pub(crate) const FAILED: u8 = 1;
/// What was given is wrong: the command line, a name, an input, a package.
pub(crate) const USAGE: u8 = 2;
/// What was asked for is not allowed, or does not fit the present state of something.
pub(crate) const REFUSED: u8 = 3;
/// The database, the engine or the system had trouble.
pub(crate) const ENGINE: u8 = 4;
/// Interrupted from the keyboard.
pub(crate) const INTERRUPTED: u8 = 130;
/// The reader of stdout has closed it: the code that a shell reports for a program that SIGPIPE has ended.
pub(crate) const UNREAD: u8 = 141;

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
        | Error::NoSettingsKey { .. }
        | Error::NotSealable { .. }
        | Error::SettingsKeyExists { .. }
        | Error::AmbiguousRun { .. }
        | Error::UnknownRunPrefix { .. }
        | Error::NoRuns
        | Error::NoDatabaseYet { .. }
        | Error::NotOnServer { .. }
        | Error::NoServer
        | Error::UnknownProfile { .. }
        | Error::BadProfiles { .. }
        | Error::NoConfigFolder
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
        Error::OfFile(OfFile { error, .. }) => code(error),
        Error::Package(error) => of_class(error.class()),
        Error::Build(error) => of_class(error.class()),
        Error::Sign(error) => of_class(error.class()),
        Error::Registry(error) => of_class(error.class()),
        Error::Server(error) => of_class(error.class()),
        Error::Client(error) => of_class(error.class()),
        Error::Socket(error) => of_class(error.class()),
        Error::Engine(error) => of_class(error.class()),
    }
}

/// The exit code of what the libraries refuse.
fn of_class(class: Class) -> u8 {
    match class {
        Class::Invalid | Class::NotFound => USAGE,
        Class::Conflict | Class::Denied => REFUSED,
        Class::Busy | Class::Unavailable | Class::Internal => ENGINE,
    }
}
