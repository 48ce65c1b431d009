//! What ends a command before its time, from the moment at which a run begins to the end of the program: Ctrl-C, or that
//! nobody reads its output any more.
//!
//! Listening starts with [`Interrupts::listen`] and never pauses: one that comes while nobody waits is kept for the
//! next who does. So the first Ctrl-C always stops in order, and the second at once.

use crate::error::Error;
use crate::reader::Reader;

#[cfg(unix)]
type Listener = tokio::signal::unix::Signal;
#[cfg(windows)]
type Listener = tokio::signal::windows::CtrlC;

/// The interrupts that come from now on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    listener: Listener,
    /// Until it has gone.
    reader: Option<Reader>,
}

/// Why a command is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Somebody asked for it.
    Asked,
    /// Nobody reads stdout any more. Told once.
    Unread,
}

impl Interrupts {
    /// Listens from now on; must be called inside a runtime.
    pub(crate) fn listen() -> Result<Self, Error> {
        #[cfg(unix)]
        let listener = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let listener = tokio::signal::windows::ctrl_c();
        let listener = listener.map_err(|source| Error::Io { action: "listen for", path: "Ctrl-C".into(), source })?;
        Ok(Self { listener, reader: Some(Reader::watch()) })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        let Self { listener, reader } = self;
        let gone = async {
            match reader.as_mut() {
                Some(reader) => reader.gone().await,
                None => std::future::pending().await,
            }
        };
        let interrupt = tokio::select! {
            biased;
            // Without one no more of them can come.
            Some(()) = listener.recv() => Interrupt::Asked,
            () = gone => Interrupt::Unread,
        };
        if interrupt == Interrupt::Unread {
            self.reader = None;
        }
        interrupt
    }
}
