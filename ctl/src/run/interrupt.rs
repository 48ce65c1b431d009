//! Ctrl-C, from the moment at which a run begins to the end of the program.
//!
//! Listening starts with [`Interrupts::listen`] and never pauses: one that comes while nobody waits is kept for the
//! next who does. So the first Ctrl-C always stops in order, and the second at once.

use crate::error::Error;

#[cfg(unix)]
type Listener = tokio::signal::unix::Signal;
#[cfg(windows)]
type Listener = tokio::signal::windows::CtrlC;

/// The interrupts that come from now on.
#[derive(Debug)]
pub(crate) struct Interrupts {
    listener: Listener,
}

impl Interrupts {
    /// Listens from now on; must be called inside a runtime.
    pub(crate) fn listen() -> Result<Self, Error> {
        #[cfg(unix)]
        let listener = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
        #[cfg(windows)]
        let listener = tokio::signal::windows::ctrl_c();
        let listener = listener.map_err(|source| Error::Io { action: "listen for", path: "Ctrl-C".into(), source })?;
        Ok(Self { listener })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        if self.listener.recv().await.is_none() {
            // No more of them can come.
            std::future::pending::<()>().await;
        }
    }
}
