//! The other side of the socket: a program that asks the living engine of a database for something.
//!
//! A socket at which nobody answers is that of an engine that was killed, and the same as none. Before anything is said,
//! both sides have seen that the other belongs to the same user or to root, and speaks the same version.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    command::Command,
    error::Error,
    frame::{self, Incoming, Problem},
    live::LivePackage,
    package::PackageCommand,
    peer::is_allowed,
    spool::CHUNK_BYTES,
    wire::{HELLO_BYTES_MAX, Hello, MESSAGE_BYTES_MAX, Message, PROTOCOL, Reply},
};
use crate::{
    id::RunId,
    store::{Database, socket_find},
    trust::TrustChange,
    view::{PackageAnswer, RunEvent, RunReport, TrustChanged},
};

/// How long an engine may take to say that it is there. It answers from memory, so this is one that is stopped.
const HELLO_WAIT: Duration = Duration::from_secs(5);

/// How long to wait before another try to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(20);

/// A connection to the living engine of a SQLite file. Asks one thing at a time.
#[derive(Debug)]
pub struct Client {
    incoming: Incoming<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    path: PathBuf,
    pid: u32,
}

/// What is told of a run that is followed.
#[derive(Debug)]
pub enum Followed {
    /// Something happened, now or before.
    Event(RunEvent),
    /// The run has ended.
    Ended(Box<RunReport>),
}

impl Client {
    /// Connects to the engine that drives that database; none if no engine does that has a socket.
    ///
    /// # Errors
    /// If there is an engine that does not answer, or that is not of the same version.
    pub async fn connect(database: &str) -> Result<Option<Self>, Error> {
        let Ok(Database::Sqlite(file)) = Database::parse(database) else { return Ok(None) };
        let Some(path) = socket_find(&file) else { return Ok(None) };
        let stream = match open(&path).await {
            Ok(stream) => stream,
            // What an engine left behind that was killed.
            Err(error) if is_absence(&error) => return Ok(None),
            Err(source) => return Err(Error::Unreachable { path, source }),
        };
        let unreachable = |source| Error::Unreachable { path: path.clone(), source };
        let uid = stream.peer_cred().map_err(unreachable)?.uid();
        if !is_allowed(uid) && !rustix::process::geteuid().is_root() {
            return Err(Error::Stranger { path, uid });
        }
        Self::new(stream, path).greet().await.map(Some)
    }

    /// Another connection to the same engine, as this one is taken up while a run is followed.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn again(&self) -> Result<Self, Error> {
        let stream = open(&self.path).await;
        let stream = stream.map_err(|source| Error::Unreachable { path: self.path.clone(), source })?;
        Self::new(stream, self.path.clone()).greet().await
    }

    /// The engine's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Has the engine do that, on behalf of `by`. What it says no with is [`Error::Refused`].
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn perform(&mut self, command: Command, by: &str) -> Result<RunReport, Error> {
        match self.ask(&Message::Do { order: command, by: by.to_owned() }).await? {
            Reply::Report { report } => Ok(*report),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Event { .. } | Reply::Trust { .. } | Reply::Package { .. } | Reply::Packages { .. } => {
                Err(out_of_turn())
            }
        }
    }

    /// Has the engine change whom a tenant trusts, on behalf of `by`.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn change_trust(&mut self, tenant: &str, change: TrustChange, by: &str) -> Result<TrustChanged, Error> {
        match self.ask(&Message::Trust { tenant: tenant.to_owned(), change, by: by.to_owned() }).await? {
            Reply::Trust { changed } => Ok(changed),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Report { .. } | Reply::Event { .. } | Reply::Package { .. } | Reply::Packages { .. } => {
                Err(out_of_turn())
            }
        }
    }

    /// Has the engine do that to a package, on behalf of `by`; the archive is what is to be registered, else empty.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn perform_package(
        &mut self,
        command: PackageCommand,
        archive: &[u8],
        by: &str,
    ) -> Result<PackageAnswer, Error> {
        if let Err(error) = self.send(archive).await {
            return Err(self.refused_instead(error).await);
        }
        match self.ask(&Message::Package { order: command, by: by.to_owned() }).await? {
            Reply::Package { answer } => Ok(*answer),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Report { .. } | Reply::Event { .. } | Reply::Trust { .. } | Reply::Packages { .. } => {
                Err(out_of_turn())
            }
        }
    }

    /// All packages as the engine runs them, those registered first in front.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn packages(&mut self) -> Result<Vec<LivePackage>, Error> {
        match self.ask(&Message::Packages).await? {
            Reply::Packages { packages } => Ok(packages),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Report { .. } | Reply::Event { .. } | Reply::Trust { .. } | Reply::Package { .. } => {
                Err(out_of_turn())
            }
        }
    }

    /// Waits until a run has ended.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::is_crowded`] if the engine has too many clients that wait.
    pub async fn wait(&mut self, run: RunId) -> Result<RunReport, Error> {
        match self.ask(&Message::Wait { run }).await? {
            Reply::Report { report } => Ok(*report),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Event { .. } | Reply::Trust { .. } | Reply::Package { .. } | Reply::Packages { .. } => {
                Err(out_of_turn())
            }
        }
    }

    /// Shows everything that has happened to a run and then what happens, until it has ended.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::is_crowded`] if the engine has too many clients that wait.
    pub async fn follow(&mut self, run: RunId) -> Result<(), Error> {
        match self.say(&Message::Follow { run }).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused_instead(error).await),
        }
    }

    /// The next thing that is told of the run that is followed.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn next(&mut self) -> Result<Followed, Error> {
        match self.hear().await? {
            Reply::Event { event } => Ok(Followed::Event(event)),
            Reply::Report { report } => Ok(Followed::Ended(report)),
            Reply::Refused { refusal } => Err(refusal.into()),
            Reply::Trust { .. } | Reply::Package { .. } | Reply::Packages { .. } => Err(out_of_turn()),
        }
    }

    fn new(stream: UnixStream, path: PathBuf) -> Self {
        let (reader, writer) = stream.into_split();
        Self { incoming: Incoming::new(reader), writer, path, pid: 0 }
    }

    async fn greet(mut self) -> Result<Self, Error> {
        let greeted = async {
            self.say_frame(&Hello::ours(), HELLO_BYTES_MAX).await?;
            self.incoming.message::<Hello>(HELLO_BYTES_MAX, None).await.map_err(lost)
        };
        let hello = match timeout(HELLO_WAIT, greeted).await {
            Ok(hello) => hello?,
            Err(_) => {
                return Err(Error::Unreachable { path: self.path, source: io::ErrorKind::TimedOut.into() });
            }
        };
        if hello.protocol != PROTOCOL {
            return Err(Error::Version { theirs: hello.protocol, program: hello.program, ours: PROTOCOL });
        }
        self.pid = hello.pid;
        Ok(self)
    }

    /// Says something, and hears the answer.
    async fn ask(&mut self, message: &Message) -> Result<Reply, Error> {
        match self.say(message).await {
            Ok(()) => self.hear().await,
            Err(error) => Err(self.refused_instead(error).await),
        }
    }

    async fn send(&mut self, archive: &[u8]) -> Result<(), Error> {
        for part in archive.chunks(CHUNK_BYTES) {
            frame::write_bytes(&mut self.writer, part).await.map_err(lost)?;
        }
        Ok(())
    }

    /// Why nothing more can be said: an engine that closes a connection says why before that.
    async fn refused_instead(&mut self, error: Error) -> Error {
        match timeout(HELLO_WAIT, self.hear()).await {
            Ok(Ok(Reply::Refused { refusal })) => refusal.into(),
            Ok(Ok(_) | Err(_)) | Err(_) => error,
        }
    }

    async fn say(&mut self, message: &Message) -> Result<(), Error> {
        self.say_frame(message, MESSAGE_BYTES_MAX).await
    }

    async fn say_frame(&mut self, message: &impl serde::Serialize, bytes_max: u32) -> Result<(), Error> {
        frame::write(&mut self.writer, message, bytes_max).await.map_err(lost)
    }

    async fn hear(&mut self) -> Result<Reply, Error> {
        self.incoming.message(MESSAGE_BYTES_MAX, None).await.map_err(lost)
    }
}

/// Connects, and waits a little where the system has too many connections that the engine has not seen yet.
async fn open(path: &Path) -> io::Result<UnixStream> {
    let opened = async {
        let mut tries = tokio::time::interval(CONNECT_PAUSE);
        loop {
            tries.tick().await;
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                opened => return opened,
            }
        }
    };
    timeout(HELLO_WAIT, opened).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn out_of_turn() -> Error {
    Error::Message { reason: "another answer than was due".to_owned() }
}

fn lost(problem: Problem) -> Error {
    match problem {
        Problem::Gone(source) => Error::Lost { source },
        Problem::Bad(reason) => Error::Message { reason },
        // Only an engine keeps what comes on the disk.
        Problem::Crowded | Problem::Disk(_) => Error::Lost { source: io::ErrorKind::TimedOut.into() },
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}
