//! What all handlers share.

use std::sync::Arc;

use cloacina::Engine;
use tokio::sync::watch;

use crate::{adapters::Workers, serve::Pages};

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every program of this machine, as an admin of every tenant, with nothing to prove: for development. The server must
    /// listen on a loopback address, and refuses requests that a page of another site could have sent.
    Loopback {
        /// The actor that the history keeps.
        actor: String,
    },
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) access: Access,
    pub(crate) pages: Pages,
    /// The workers that the adapters show.
    pub(crate) workers: Workers,
    /// True once the server ends. Streams watch it, as an open stream would keep the server from ending.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// How handlers hold it.
pub(crate) type Shared = Arc<App>;

impl App {
    /// Ends when the server begins to end.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        async move {
            // Without its sender the server has ended.
            stopping.wait_for(|is_stopping| *is_stopping).await.ok();
        }
    }
}
