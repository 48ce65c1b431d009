//! What ends a command before its time, from the moment at which a run begins to the end of the program: Ctrl-C, what
//! service managers, containers and closing terminals send, or that the reader of its output has closed it.
//!
//! Listening starts with [`Interrupts::listen`] and never pauses: a signal without a waiter is kept for the
//! next one. So the first always stops gracefully, and the second at once. A hang-up that the process which started the
//! program has it ignore, as `nohup` does, stays ignored.

use crate::error::Error;
use crate::reader::Reader;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// The requests to stop that come from now on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    #[cfg(unix)]
    keyboard: Signal,
    #[cfg(unix)]
    terminated: Signal,
    #[cfg(unix)]
    hung_up: Option<Signal>,
    #[cfg(windows)]
    keyboard: CtrlC,
    /// Until it has gone.
    reader: Option<Reader>,
}

/// Why a command is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Somebody asked for it.
    Asked,
    /// The reader of stdout has closed it. Told once.
    Unread,
}

impl Interrupts {
    /// Listens from now on; must be called inside a runtime.
    pub(crate) fn listen() -> Result<Self, Error> {
        let failed = |source| Error::Io { action: "listen for", path: "signals".into(), source };
        #[cfg(unix)]
        let listening = || {
            let hung_up = if ignores_hang_up() { None } else { Some(signal(SignalKind::hangup())?) };
            let (keyboard, terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            Ok(Self { keyboard, terminated, hung_up, reader: Some(Reader::watch()) })
        };
        #[cfg(windows)]
        let listening = || Ok(Self { keyboard: ctrl_c()?, reader: Some(Reader::watch()) });
        listening().map_err(failed)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        let gone = async {
            match self.reader.as_mut() {
                Some(reader) => reader.gone().await,
                None => std::future::pending().await,
            }
        };
        #[cfg(unix)]
        let signals = async {
            let hung_up = async {
                match &mut self.hung_up {
                    Some(signal) => signal.recv().await,
                    None => None,
                }
            };
            tokio::select! {
                Some(()) = self.keyboard.recv() => {}
                Some(()) = self.terminated.recv() => {}
                Some(()) = hung_up => {}
                // No more of them can come.
                else => std::future::pending::<()>().await,
            }
        };
        #[cfg(windows)]
        let signals = async {
            if self.keyboard.recv().await.is_none() {
                // No more of them can come.
                std::future::pending::<()>().await;
            }
        };
        let interrupt = tokio::select! {
            biased;
            () = signals => Interrupt::Asked,
            () = gone => Interrupt::Unread,
        };
        if interrupt == Interrupt::Unread {
            self.reader = None;
        }
        interrupt
    }
}

/// Whether the program was started with the signal ignored, as far as the system tells.
#[cfg(unix)]
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask & 1 << (SignalKind::hangup().as_raw_value() - 1) != 0
}
