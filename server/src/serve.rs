//! The server's life: listening, serving, and ending within a deadline.
//!
//! A stream that is open would keep the server from ending, so each watches for the end. What has not been answered by the
//! deadline is cut off; the engine goes on with what it acknowledged.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum_server::Handle;
use cloacina::{Class, Engine};
use hyper_util::rt::TokioTimer;
use tokio::sync::watch;

use crate::{
    adapters::Workers,
    app::{Access, App},
    guard, routes,
};

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Bytes of the head of a request at most.
const HEAD_MAX: usize = 64 * 1024;

/// The page of each error code, in Markdown, by code.
pub type Pages = &'static [(&'static str, &'static str)];

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; the port 0 is any that is free.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// How long requests that are under way may take when the server ends.
    pub drain: Duration,
    /// The page of each error code, in Markdown.
    pub pages: Pages,
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Without a login the server must not be reachable from other machines.
    #[error("{address} can be reached from other machines, and the server asks nobody for a login")]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// Serving failed.
    #[error("the server cannot go on")]
    Serve(#[source] io::Error),
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Listen { .. } | Self::Serve(_) => Class::Unavailable,
            Self::Open { .. } => Class::Denied,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "SRV0013",
            Self::Open { .. } => "SRV0014",
            Self::Serve(_) => "SRV0015",
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "another program may use the port; choose another one, or 0 for any that is free",
            Self::Open { .. } => "listen on a loopback address, such as 127.0.0.1:8080",
            Self::Serve(_) => "start the server again; unfinished runs go on",
        }
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Server {
    /// Listens on the address. Clients may connect from now on; they are answered once the server runs.
    ///
    /// # Errors
    /// [`Error::Listen`]; [`Error::Open`] if nobody would be asked for a login and the address is not a loopback address.
    pub fn bind(options: Options) -> Result<Self, Error> {
        let address = options.listen;
        let Access::Loopback { .. } = options.access;
        if !address.ip().is_loopback() {
            return Err(Error::Open { address });
        }
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, options })
    }

    /// The address on which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready; then no new connection is taken, streams end, and requests that are under way may finish
    /// for the time of the options. The engine goes on.
    ///
    /// # Errors
    /// [`Error::Serve`].
    pub async fn run(self, engine: Engine, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let Self { listener, options: Options { access, drain, pages, .. }, .. } = self;
        let (stopping, is_stopping) = watch::channel(false);
        let app = Arc::new(App { engine, access, pages, workers: Workers::new(), stopping: is_stopping });
        let router = guard::around(routes::router(Arc::clone(&app)), app);
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener).map_err(Error::Serve)?.handle(handle.clone());
        server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
        let serving = server.serve(router.into_make_service());
        tokio::pin!(serving, stop);
        tokio::select! {
            served = &mut serving => return served.map_err(Error::Serve),
            () = &mut stop => {}
        }
        stopping.send_replace(true);
        handle.graceful_shutdown(Some(drain));
        serving.await.map_err(Error::Serve)
    }
}
