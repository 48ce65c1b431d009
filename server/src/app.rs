//! What all handlers share.

use std::sync::Arc;

use cloacina::Engine;
use tokio::sync::watch;

use crate::{
    adapters::Workers,
    auth::{Limits, Throttle, TokenKey},
    serve::Pages,
};

/// Who may ask, with what is needed to find that out.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Every program of this machine, as that actor.
    Loopback { actor: String },
    /// Callers with a credential. Access tokens are made and checked with the key.
    Login { key: TokenKey },
}

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) admission: Admission,
    pub(crate) throttle: Throttle,
    pub(crate) limits: Limits,
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
