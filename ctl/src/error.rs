//! Why a command cannot do what was asked for: codes `CTL…` for its use, and the errors of the libraries as they are.
//!
//! Values in the fields, advice in [`Error::hints`], a page in `docs/errors/` for each code.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cloacina::{Class, RunId};
use cloacina_workflow::payload::Inexact;

use crate::config::Config;
use crate::run::Interrupt;

/// How many names a hint lists.
const NAMES_MAX: usize = 20;

/// What to do about a command that does not work on a server.
const ON_THE_MACHINE: &str = "run it where the database of the server is, with --database URL";

/// The one error of the program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments are not understood.
    #[error("{message}")]
    CommandLine { message: String, tips: Vec<String>, usage: String },
    /// No error has that code.
    #[error("there is no error with the code `{code}`")]
    UnknownCode { code: String, near: Vec<String> },
    /// A package cannot have that name.
    #[error("a package cannot be called `{name}`: {reason}")]
    BadPackageName { name: String, reason: &'static str, suggestion: Option<String> },
    /// The folder that is to be made has something in it.
    #[error("`{}` exists and is not an empty folder", .path.display())]
    FolderNotEmpty { path: PathBuf },
    /// The crate that packages link was not found.
    #[error("there is no crate cloacina-workflow in `{}`", .path.display())]
    NoSdk { path: PathBuf },
    /// The path is nothing that can be run or drawn.
    #[error("`{}` is neither the folder of a crate nor an archive", .path.display())]
    NeitherCrateNorArchive { path: PathBuf },
    /// The input is not JSON.
    #[error("{place} is not JSON: {reason}")]
    InputNotJson { option: &'static str, place: String, reason: String },
    /// The input is JSON, but no object.
    #[error("{place} is {found}, where an object is needed")]
    InputNotAnObject { option: &'static str, place: String, found: &'static str },
    /// The input is JSON, but no reader of it would keep all of it.
    #[error("{place} cannot be kept as it is written: {inexact}")]
    InputNotExact { option: &'static str, place: String, inexact: Inexact },
    /// The package has several workflows, and none was named.
    #[error("the package `{package}` has {} workflows", .available.len())]
    ChooseWorkflow { package: String, available: Vec<String> },
    /// The package has no such workflow.
    #[error("the package `{package}` has no workflow `{workflow}`")]
    UnknownWorkflow { package: String, workflow: String, available: Vec<String> },
    /// The system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// The text is not the id of a run.
    #[error("`{text}` is not a run id")]
    BadRunId { text: String },
    /// Ctrl-C before the run had ended.
    #[error("interrupted before the run {run} had ended")]
    Interrupted { run: String, resume: Option<String> },
    /// The reader of stdout has closed it.
    #[error("the standard output was closed before the run {run} had ended")]
    Unread { run: String, resume: Option<String> },
    /// The run took longer than it may.
    #[error("the run {run} had not ended after {seconds} s")]
    TimedOut { run: String, seconds: u64, resume: Option<String> },
    /// The settings cannot be read.
    #[error("the settings cannot be read: {place}: {reason}")]
    BadConfig { place: String, reason: String, near: Option<String> },
    /// A setting has a value that it cannot have.
    #[error("{place}: `{text}` is not a value of `{name}`: {reason}")]
    BadSetting { name: String, text: String, place: String, reason: String },
    /// A setting is encrypted, and no key is named.
    #[error("{place}: the value is encrypted, and no key is named")]
    NoSettingsKey { place: String },
    /// There is no such setting to encrypt.
    #[error("`{name}` names no setting that may be encrypted")]
    NotSealable { name: String, available: Vec<String> },
    /// A key would replace another one.
    #[error("`{}` is there already", .path.display())]
    SettingsKeyExists { path: PathBuf },
    /// No database is named, and there is no folder for the default one.
    #[error("no database is named, and the user has no data folder")]
    NoDatabase,
    /// The id fits several runs.
    #[error("several runs have an id that begins with `{text}`")]
    AmbiguousRun { text: String, candidates: Vec<String> },
    /// No run has such an id.
    #[error("no run has an id that begins with `{text}`")]
    UnknownRunPrefix { text: String },
    /// There are no runs, as there is no database yet.
    #[error("there is no database {database} yet, and so there are no runs")]
    NoDatabaseYet { database: String },
    /// There is no newest run.
    #[error("the database has no runs")]
    NoRuns,
    /// The text is not a time.
    #[error("`{text}` is not a time for {option}: {reason}")]
    BadMoment { option: &'static str, text: String, reason: String },
    /// The run has no such task.
    #[error("the run {run} has no task `{task}`")]
    UnknownTask { run: String, task: String, available: Vec<String> },
    /// The context has no such key.
    #[error("the context of the run {run} has no key `{key}`")]
    UnknownKey { run: String, key: String, available: Vec<String> },
    /// The database knows no such workflow.
    #[error("the database knows no workflow `{name}`")]
    WorkflowNotThere { name: String },
    /// What is to be loaded into this program is not there.
    #[error("there is no package `{name}` to load into this program")]
    NothingInline { name: String, available: Vec<String> },
    /// Ctrl-C before everything was measured.
    #[error("interrupted before everything was measured")]
    BenchInterrupted,
    /// The package has no workflow that can be measured.
    #[error("`{}` has no workflow `{workflow}` to measure", .path.display())]
    NothingToMeasure { path: PathBuf, workflow: String },
    /// A database refused to be measured.
    #[error("{what} could not be measured")]
    Measure { what: String, source: cloacina::testing::MeasureError },
    /// A run that was measured did not complete.
    #[error("a run of {what} ended as {state}")]
    MeasuredRun { what: String, state: &'static str },
    /// Keys have no folder.
    #[error("no folder of keys is named, and the user has no data folder")]
    NoKeyFolder,
    /// A key cannot have that name.
    #[error("a key cannot be called `{name}`")]
    BadKeyName { name: String },
    /// A key of that name is there.
    #[error("the key `{name}` exists already: `{}`", .path.display())]
    KeyExists { name: String, path: PathBuf },
    /// There is no key of that name.
    #[error("there is no key `{name}` in `{}`", .folder.display())]
    UnknownKeyName { name: String, folder: PathBuf, available: Vec<String> },
    /// A secret value of an input cannot be used. The message must not show it.
    #[error("the secret {key} cannot be used: {reason}")]
    BadSecret { key: String, reason: &'static str },
    /// The package has no such task.
    #[error("the package `{package}` has no task `{task}`")]
    UnknownPackageTask { package: String, task: String, available: Vec<String> },
    /// The process that examines a package could not be started or asked.
    #[error("the package cannot be tested in a separate process")]
    Examine { source: io::Error },
    /// A key or a signature cannot be used.
    #[error(transparent)]
    Sign(#[from] cloacina_packager::sign::SignError),
    /// A file cannot be used for what it is.
    #[error(transparent)]
    OfFile(OfFile),
    /// What was asked about packages makes no sense.
    #[error(transparent)]
    Package(#[from] cloacina_packager::Error),
    /// A package could not be built.
    #[error(transparent)]
    Build(#[from] cloacina_packager::build::Error),
    /// The registry refused a package.
    #[error(transparent)]
    Registry(#[from] cloacina::RegistryError),
    /// The server cannot be started, or cannot go on.
    #[error(transparent)]
    Server(#[from] cloacina_server::Error),
    /// A server does not do that.
    #[error("{what} does not work on a server, and the server {server} is named")]
    NotOnServer { what: &'static str, server: String },
    /// No server is named, and the command is about one.
    #[error("no server is named, and no profile is in use")]
    NoServer,
    /// There is no profile of that name.
    #[error("there is no profile `{name}`")]
    UnknownProfile { name: String, available: Vec<String> },
    /// The profiles cannot be read.
    #[error("the profiles in `{}` cannot be read: {reason}", .path.display())]
    BadProfiles { path: PathBuf, reason: String },
    /// Profiles have no folder.
    #[error("the user has no folder of settings, in which profiles are kept")]
    NoConfigFolder,
    /// A server could not be asked, or said no.
    #[error(transparent)]
    Client(#[from] cloacina_client::Error),
    /// Another engine drives the run, on a server where it cannot be asked.
    #[error("run {run} belongs to the {}", owner_text(.owner))]
    OwnedElsewhere { run: String, owner: cloacina::RunOwner, wait: String },
    /// A run was to be run without waiting for it, and no engine is there that would.
    #[error("nothing was done: the run {run} has begun, and no engine drives it")]
    NothingRuns { run: String, execute: String },
    /// The database is on a server, which has its own tools.
    #[error("the database {database} is on a server, which makes its backups itself")]
    ServerBackup { database: String, file: PathBuf },
    /// Ctrl-C before a backup was whole.
    #[error("interrupted before the backup `{}` was complete; the incomplete file was removed", .file.display())]
    BackupInterrupted { file: PathBuf },
    /// The running engine could not be asked, or said no.
    #[error(transparent)]
    Socket(#[from] cloacina::SocketError),
    /// The engine or its database had trouble.
    #[error(transparent)]
    Engine(#[from] cloacina::Error),
}

impl Error {
    /// JSON cannot hold an argument, and so not an answer that names it.
    pub(crate) fn not_utf_8(argument: &OsStr) -> Self {
        Self::CommandLine {
            message: format!("the argument `{}` is not UTF-8, as JSON must be", argument.display()),
            tips: vec!["tip: leave out --output json, or give the file another name".to_owned()],
            usage: String::new(),
        }
    }

    /// That a command which waited for a run was to end before it.
    pub(crate) fn interrupted(why: Interrupt, run: RunId, resume: Option<String>) -> Self {
        let run = run.to_string();
        match why {
            Interrupt::Asked => Self::Interrupted { run, resume },
            Interrupt::Unread => Self::Unread { run, resume },
        }
    }

    /// The file at that path is refused for what is in it. What says nothing about the file stays as it is.
    pub(crate) fn of_file<E: Into<Self>>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |error| match error.into() {
            // It names the file itself.
            error @ Error::Client(cloacina_client::Error::File { .. }) => error,
            error if error.class().is_some_and(is_no) => Error::OfFile(OfFile { path, error: Box::new(error) }),
            error => error,
        }
    }

    /// What kind of trouble a library tells of; none for an error of the command line itself.
    fn class(&self) -> Option<Class> {
        match self {
            Error::Package(error) => Some(error.class()),
            Error::Build(error) => Some(error.class()),
            Error::Sign(error) => Some(error.class()),
            Error::Registry(error) => Some(error.class()),
            Error::Server(error) => Some(error.class()),
            Error::Client(error) => Some(error.class()),
            Error::Socket(error) => Some(error.class()),
            Error::Engine(error) => Some(error.class()),
            _ => None,
        }
    }

    /// The stable code; `docs/errors/<code>.md` explains it.
    pub(crate) fn code(&self) -> &str {
        match self {
            Error::CommandLine { .. } => "CTL0001",
            Error::UnknownCode { .. } => "CTL0061",
            Error::BadPackageName { .. } => "CTL0002",
            Error::FolderNotEmpty { .. } => "CTL0003",
            Error::NoSdk { .. } => "CTL0004",
            Error::NeitherCrateNorArchive { .. } => "CTL0005",
            Error::InputNotJson { .. } => "CTL0006",
            Error::InputNotAnObject { .. } => "CTL0007",
            Error::InputNotExact { .. } => "CTL0051",
            Error::ChooseWorkflow { .. } => "CTL0008",
            Error::UnknownWorkflow { .. } => "CTL0009",
            Error::Io { .. } => "CTL0010",
            Error::BadRunId { .. } => "CTL0011",
            Error::Interrupted { .. } => "CTL0012",
            Error::Unread { .. } => "CTL0053",
            Error::TimedOut { .. } => "CTL0013",
            Error::BadConfig { .. } => "CTL0014",
            Error::NoDatabase => "CTL0015",
            Error::BadSetting { .. } => "CTL0026",
            Error::NoSettingsKey { .. } => "CTL0062",
            Error::NotSealable { .. } => "CTL0063",
            Error::SettingsKeyExists { .. } => "CTL0064",
            Error::AmbiguousRun { .. } => "CTL0016",
            Error::UnknownRunPrefix { .. } | Error::NoRuns | Error::NoDatabaseYet { .. } => "CTL0017",
            Error::BadMoment { .. } => "CTL0018",
            Error::UnknownTask { .. } => "CTL0019",
            Error::UnknownKey { .. } => "CTL0020",
            Error::WorkflowNotThere { .. } => "CTL0021",
            Error::NothingInline { .. } => "CTL0050",
            Error::BenchInterrupted => "CTL0023",
            Error::NothingToMeasure { .. } => "CTL0024",
            Error::Measure { .. } | Error::MeasuredRun { .. } => "CTL0025",
            Error::NoKeyFolder => "CTL0030",
            Error::BadKeyName { .. } => "CTL0031",
            Error::KeyExists { .. } => "CTL0032",
            Error::UnknownKeyName { .. } => "CTL0033",
            Error::BadSecret { .. } => "CTL0046",
            Error::UnknownPackageTask { .. } => "CTL0040",
            Error::Examine { .. } => "CTL0041",
            Error::Sign(error) => error.code(),
            Error::OwnedElsewhere { .. } => "CTL0027",
            Error::ServerBackup { .. } => "CTL0058",
            Error::BackupInterrupted { .. } => "CTL0059",
            Error::NothingRuns { .. } => "CTL0060",
            Error::NotOnServer { .. } => "CTL0065",
            Error::BadProfiles { .. } => "CTL0066",
            Error::UnknownProfile { .. } => "CTL0067",
            Error::NoConfigFolder => "CTL0068",
            Error::NoServer => "CTL0069",
            Error::OfFile(OfFile { error, .. }) => error.code(),
            Error::Package(error) => error.code(),
            Error::Build(error) => error.code(),
            Error::Registry(error) => error.code(),
            Error::Server(error) => error.code(),
            Error::Client(error) => error.code(),
            Error::Socket(error) => error.code(),
            Error::Engine(error) => error.code(),
        }
    }

    /// What to do about it.
    pub(crate) fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Error::CommandLine { tips, .. } => tips.clone(),
            Error::UnknownCode { near, .. } => {
                let known = (!near.is_empty())
                    .then(|| format!("there are {}", near.get(..NAMES_MAX).unwrap_or(near).join(", ")));
                known.into_iter().chain(["`cloacina-ctl explain` lists every code".to_owned()]).collect()
            }
            Error::BadPackageName { suggestion, .. } => {
                suggestion.iter().map(|name| format!("use for example `{name}`")).collect()
            }
            Error::FolderNotEmpty { .. } => one("choose another name, or another folder with --path DIR"),
            Error::NoSdk { path } if *path == Config::built_in_sdk() => {
                one("the checkout that built this program is gone: name another one's sdk folder with --sdk DIR")
            }
            Error::NoSdk { .. } => one("--sdk names the folder `sdk` of a checkout of Cloacina"),
            Error::NeitherCrateNorArchive { .. } => {
                one("a crate's folder has a Cargo.toml; an archive is a file that `cloacina-ctl package build` wrote")
            }
            Error::InputNotJson { option, .. }
            | Error::InputNotAnObject { option, .. }
            | Error::InputNotExact { option, .. } => vec![
                format!("an input looks like this: {option} '{{\"key\": 1}}'"),
                format!("{option} @FILE reads it from a file, {option} - from stdin"),
            ],
            Error::ChooseWorkflow { available, .. } => {
                available.iter().map(|name| format!("choose one with --workflow {name}")).collect()
            }
            Error::UnknownWorkflow { available, .. } => vec![format!("it has: {}", available.join(", "))],
            Error::Io { source, .. } => io_hint(source.kind()).map(str::to_owned).into_iter().collect(),
            Error::BadRunId { .. } => {
                one("a run's id looks like this, and may be shortened: 0198a4c1-7c1e-7d42-9b7e-3f0c5a6b1d2e")
            }
            Error::BadConfig { .. }
            | Error::BadSetting { .. }
            | Error::NoSettingsKey { .. }
            | Error::NotSealable { .. }
            | Error::SettingsKeyExists { .. } => self.settings_hints(),
            Error::NoDatabase => one("name one with --database FILE, or set HOME"),
            Error::AmbiguousRun { candidates, .. } => candidates.clone(),
            Error::UnknownRunPrefix { .. } => one("`cloacina-ctl runs list` lists the runs of the database"),
            Error::NoRuns => {
                one("`cloacina-ctl demo` or `cloacina-ctl run PACKAGE` makes one; --database names another database")
            }
            Error::NoDatabaseYet { .. } => {
                one("`cloacina-ctl demo` or `cloacina-ctl run PACKAGE` makes it; --database names another one")
            }
            Error::BadMoment { .. } => one("a time looks like 2026-01-31T12:00:00Z, and a duration like 24h"),
            Error::UnknownTask { available, .. } | Error::UnknownKey { available, .. } => match available.as_slice() {
                [] => one("it has none"),
                several => {
                    let shown = several.get(..NAMES_MAX).unwrap_or(several);
                    let more = match several.len() - shown.len() {
                        0 => String::new(),
                        n_more => format!(" and {n_more} more"),
                    };
                    vec![format!("it has: {}{more}", shown.join(", "))]
                }
            },
            Error::WorkflowNotThere { .. } => one("`cloacina-ctl workflow list --all` lists those that it knows"),
            Error::NothingInline { name, available } => {
                let there = match available.as_slice() {
                    [] => "the database has no packages".to_owned(),
                    several => format!("there are: {}", several.join(", ")),
                };
                vec![there, format!("`--inline '{name}*'` also means packages that are registered later")]
            }
            Error::Interrupted { resume, .. } | Error::Unread { resume, .. } | Error::TimedOut { resume, .. } => {
                match resume {
                    Some(command) => vec![format!("continue with: {command}")],
                    None => one("without --ephemeral, an interrupted run can be continued later"),
                }
            }
            Error::BenchInterrupted => Vec::new(),
            Error::NothingToMeasure { .. } => {
                one("tests/fixtures/noop and tests/fixtures/writers of a checkout are measured; without --package and \
                     --writers they are built")
            }
            Error::Measure { .. } | Error::MeasuredRun { .. } => {
                one("--dir names another folder for the databases, --postgres another server, --no-postgres none")
            }
            Error::NoKeyFolder => one("name one with --keys DIR, or set HOME"),
            Error::BadKeyName { .. } => one("a name has letters, digits, `_` and `-`, such as `release`"),
            Error::KeyExists { .. } => one("choose another name; a key that is no longer wanted is removed by hand"),
            Error::UnknownKeyName { available, .. } => key_hints(available),
            Error::BadSecret { key, .. } => vec![format!("for example: --secret {key}=@FILE")],
            Error::UnknownPackageTask { available, .. } => vec![format!("it has: {}", available.join(", "))],
            Error::Examine { .. } => {
                one("this program starts its own file again, which must still be at the path that it was started from")
            }
            Error::Sign(error) => error.hints(),
            Error::ServerBackup { database, file } => dump_hints(database, file),
            Error::BackupInterrupted { .. } => Vec::new(),
            Error::NothingRuns { execute, .. } => {
                vec![
                    format!("run it with: {execute}"),
                    "or start an engine on the database, which then runs it".to_owned(),
                ]
            }
            Error::OwnedElsewhere { wait, .. } => vec![
                format!("wait for it with: {wait}"),
                "or stop that engine or wait for the end of its lease: then this command takes over the run".to_owned(),
            ],
            Error::OfFile(OfFile { error, .. }) => error.hints(),
            Error::Package(error) => error.hints(),
            Error::Build(error) => error.hints(),
            Error::Registry(error) => error.hints(),
            Error::Server(error) => vec![error.hint().to_owned()],
            Error::NotOnServer { .. }
            | Error::NoServer
            | Error::UnknownProfile { .. }
            | Error::BadProfiles { .. }
            | Error::NoConfigFolder
            | Error::Client(_) => self.server_hints(),
            Error::Socket(error) => error.hints(),
            Error::Engine(error) => error.hints(),
        }
    }

    /// The hints of errors about servers.
    fn server_hints(&self) -> Vec<String> {
        let login =
            "`cloacina-ctl login URL --user NAME --password-file FILE` keeps a server and who you are there".to_owned();
        match self {
            Error::Client(error) if error.is_without_credential() => error.hints().into_iter().chain([login]).collect(),
            Error::Client(error) => error.hints(),
            Error::NotOnServer { .. } => vec![ON_THE_MACHINE.to_owned()],
            Error::UnknownProfile { available, .. } => {
                let profiles =
                    if available.is_empty() { login } else { format!("there are: {}", available.join(", ")) };
                vec![profiles, "the address of a server begins with http:// or https://".to_owned()]
            }
            Error::BadProfiles { .. } => vec!["remove the file, and log in again".to_owned()],
            Error::NoConfigFolder => vec!["set HOME or XDG_CONFIG_HOME".to_owned()],
            _ => vec![login],
        }
    }

    /// The hints of errors of the settings.
    fn settings_hints(&self) -> Vec<String> {
        let reference = "docs/reference/config.md lists every setting with its values".to_owned();
        match self {
            Error::BadConfig { near: Some(near), .. } => vec![format!("the nearest name is `{near}`"), reference],
            Error::NoSettingsKey { .. } => vec![
                "set CLOACINA_SETTINGS_KEY_FILE to the file that `cloacina-ctl config new-key` made, or CLOACINA_SETTINGS_KEY to its text"
                    .to_owned(),
            ],
            Error::NotSealable { available, .. } => vec![format!("these may be: {}", available.join(", "))],
            Error::SettingsKeyExists { .. } => vec![
                "what was encrypted with the key there would be lost; choose another name, or remove the file if nothing was"
                    .to_owned(),
            ],
            _ => vec![reference],
        }
    }

    /// Whether it says no to what was asked of one run, and says nothing about the engine.
    pub(crate) fn is_refusal(&self) -> bool {
        let is_answer = matches!(
            self,
            Error::Socket(cloacina::SocketError::Refused(_))
                | Error::Engine(_)
                | Error::Client(cloacina_client::Error::Refused(_))
        );
        is_answer && self.class().is_some_and(is_no)
    }

    /// Whether nothing was done because an engine has the database that may end within moments.
    pub(crate) fn is_of_a_moment(&self) -> bool {
        match self {
            Error::Engine(cloacina::Error::Store(cloacina::StoreError::Locked { .. })) => true,
            Error::Engine(error) => error.is_ending(),
            error => error.is_of_an_ending_engine(),
        }
    }

    /// Whether the engine that was asked has ended.
    pub(crate) fn is_of_an_ending_engine(&self) -> bool {
        matches!(self, Error::Socket(error) if error.is_ending())
    }

    /// How the command is used, where it was used wrongly.
    pub(crate) fn usage(&self) -> Option<&str> {
        match self {
            Error::CommandLine { usage, .. } => Some(usage.as_str()).filter(|usage| !usage.is_empty()),
            _ => None,
        }
    }
}

/// What to do about a refusal of the system.
fn io_hint(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("a relative path starts at the folder in which the command runs"),
        io::ErrorKind::PermissionDenied => {
            Some("this user lacks the permission: check the permissions of the file and of the folders above it")
        }
        io::ErrorKind::IsADirectory => Some("name a file in it"),
        _ => None,
    }
}

/// Whether the answer is no, at any time and from any engine.
fn is_no(class: Class) -> bool {
    match class {
        Class::Invalid | Class::NotFound | Class::Conflict | Class::Denied => true,
        Class::Busy | Class::Unavailable | Class::Internal => false,
    }
}

/// An error that is about a file, with its name in front.
#[derive(Debug)]
pub(crate) struct OfFile {
    path: PathBuf,
    pub(crate) error: Box<Error>,
}

impl fmt::Display for OfFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for OfFile {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Which keys there are, for a name that is none of them.
fn key_hints(available: &[String]) -> Vec<String> {
    match available {
        [] => vec!["make one: cloacina-ctl key generate NAME".to_owned()],
        several => vec![
            format!("there are: {}", several.join(", ")),
            "the file of a key is named with its folder, as in ./release.key".to_owned(),
        ],
    }
}

/// How a database on a server is copied and brought back. The password, which is not shown, is asked for.
fn dump_hints(database: &str, file: &Path) -> Vec<String> {
    let database = database.replace(":***@", "@");
    let file = file.display();
    vec![
        format!("pg_dump --format=custom --file='{file}' --dbname='{database}'"),
        format!(
            "pg_restore --clean --if-exists --dbname='{database}' '{file}' restores it, after every engine was stopped"
        ),
    ]
}

/// The process and the machine of an engine, and the end of its lease.
fn owner_text(owner: &cloacina::RunOwner) -> String {
    let pid = owner.pid.map(|pid| format!(" in process {pid}")).unwrap_or_default();
    let host = owner.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let lease = owner.lease_until.map(|until| format!(", with a lease until {until}")).unwrap_or_default();
    format!("engine{pid}{host}{lease}")
}
