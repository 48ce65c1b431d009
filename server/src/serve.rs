//! The server's life: listening, serving, and ending within a deadline.
//!
//! A stream that is open would keep the server from ending, so each watches for the end. What has not been answered by the
//! deadline is cut off; the engine goes on with what it acknowledged.

use std::{
    future::pending,
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsAcceptor};
use cloacina::{Class, Engine};
use hyper_util::rt::TokioTimer;
use tokio::{sync::watch, time::Instant};

use crate::{
    adapters::Workers,
    app::{Admission, App},
    auth::{Limits, RequestRates, Throttle, TokenKey},
    connection::{Bounded, Told},
    cors::Origin,
    guard, routes,
    tls::{Tls, TlsError, TlsFiles},
};

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// Bytes of the head of a request at most.
const HEAD_MAX: usize = 64 * 1024;

/// The file of the key of access tokens, in the data folder of the engine.
const TOKEN_KEY: &str = "token.key";

/// The page of each error code, in Markdown, by code.
pub type Pages = &'static [(&'static str, &'static str)];

/// The code of files for TLS that cannot be used.
pub(crate) const TLS_CODE: &str = "SRV0025";

/// A server at work, whatever its connections are.
type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Who may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every program of this machine, as an admin of every tenant, without a credential: for development. The server must
    /// listen on a loopback address, and refuses requests that a page of another site could have sent.
    Loopback {
        /// The actor that the history keeps.
        actor: String,
    },
    /// Callers with the credential of an account or an API key of the database.
    Login {
        /// The file of the key that access tokens are made and checked with; `token.key` in the data folder of the engine
        /// without one. It is made if it is not there.
        token_key: Option<PathBuf>,
    },
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on; the port 0 is any that is free.
    pub listen: SocketAddr,
    /// Who may ask.
    pub access: Access,
    /// The certificate by which connections are encrypted; without one they are not.
    pub tls: Option<TlsFiles>,
    /// The sites of which pages may read answers; browsers keep answers from all others. A server without a login takes none.
    pub cors_origins: Vec<Origin>,
    /// How many requests may be made with a credential and by a tenant.
    pub rates: RequestRates,
    /// How many clients may be connected. One more is refused.
    pub connections_max: usize,
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
    /// The key of access tokens cannot be read or made.
    #[error("cannot use the key of access tokens in {path}")]
    TokenKey {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate for TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Serving failed.
    #[error("the server cannot go on")]
    Serve(#[source] io::Error),
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Listen { .. } | Self::TokenKey { .. } | Self::Serve(_) => Class::Unavailable,
            Self::Tls(_) => Class::Invalid,
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
            Self::TokenKey { .. } => "SRV0022",
            Self::Tls(_) => TLS_CODE,
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "another program may use the port; choose another one, or 0 for any that is free",
            Self::Open { .. } => "listen on a loopback address, such as 127.0.0.1:8080, or ask for a login",
            Self::TokenKey { .. } => {
                "name a file that this user can read with --token-key; a new file ends the access tokens of now"
            }
            Self::Tls(error) => error.hint(),
            Self::Serve(_) => "start the server again; unfinished runs go on",
        }
    }
}

/// An address that a server has taken. Clients may connect; they are answered once the server runs.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    options: Options,
    tls: Option<Tls>,
}

/// A server that has all it needs to answer.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    engine: Engine,
    admission: Admission,
}

impl Listener {
    /// Takes the address.
    ///
    /// # Errors
    /// [`Error::Listen`]; [`Error::Tls`]; [`Error::Open`] if no caller would need a credential and the address is not a loopback address.
    pub fn bind(options: Options) -> Result<Self, Error> {
        let address = options.listen;
        match options.access {
            Access::Loopback { .. } if !address.ip().is_loopback() => return Err(Error::Open { address }),
            Access::Loopback { .. } | Access::Login { .. } => {}
        }
        let tls = options.tls.clone().map(Tls::open).transpose()?;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, options, tls })
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether callers need a credential.
    #[must_use]
    pub fn has_login(&self) -> bool {
        matches!(self.options.access, Access::Login { .. })
    }

    /// The server of an engine on this address.
    ///
    /// # Errors
    /// [`Error::TokenKey`].
    pub fn serve(self, engine: Engine) -> Result<Server, Error> {
        let admission = match &self.options.access {
            Access::Loopback { actor } => Admission::Loopback { actor: actor.clone() },
            Access::Login { token_key } => {
                let path = token_key.clone().unwrap_or_else(|| engine.data_dir().join(TOKEN_KEY));
                let key = TokenKey::of_file(&path).map_err(|source| Error::TokenKey { path, source })?;
                Admission::Login { key }
            }
        };
        Ok(Server { listener: self, engine, admission })
    }
}

impl Server {
    /// The address at which the server answers, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.listener.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.listener.address)
    }

    /// Serves until `stop` is ready; then no new connection is taken, streams end, and requests that are under way may finish
    /// for the time of the options. The engine goes on.
    ///
    /// # Errors
    /// [`Error::Serve`].
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let Self { listener: Listener { listener, options, tls, .. }, engine, admission } = self;
        let Options { cors_origins, rates, connections_max, drain, pages, .. } = options;
        let (stopping, is_stopping) = watch::channel(false);
        let (throttle, limits, workers) = (Throttle::new(), Limits::new(rates), Workers::new());
        let app = Arc::new(App { engine, admission, throttle, limits, pages, workers, stopping: is_stopping });
        let router = guard::around(routes::router(Arc::clone(&app)), app, cors_origins);
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(listener)
            .map_err(Error::Serve)?
            .handle(handle.clone())
            .http1_only()
            .accept_error_handler(cannot_accept());
        server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let bounded = Bounded::new(connections_max, tls.is_some());
        let mut serving: Serving = match &tls {
            None => Box::pin(server.acceptor(bounded).serve(service)),
            // A connection has its place before the handshake.
            Some(tls) => {
                let encrypted = RustlsAcceptor::new(tls.config()).handshake_timeout(HEAD_TIME).acceptor(bounded);
                Box::pin(server.acceptor(encrypted).serve(service))
            }
        };
        let following = async move {
            match tls {
                Some(tls) => tls.follow().await,
                None => pending().await,
            }
        };
        tokio::select! {
            served = &mut serving => return served.map_err(Error::Serve),
            never = following => match never {},
            () = stop => {}
        }
        stopping.send_replace(true);
        handle.graceful_shutdown(Some(drain));
        serving.await.map_err(Error::Serve)
    }
}

/// Tells the log that no connection can be accepted, as the process has too many files open for example.
fn cannot_accept() -> impl Fn(Option<&SocketAddr>, &io::Error) + Send + Sync + 'static {
    let told = Told::default();
    move |client, error| match client.is_none().then(|| told.tell(Instant::now())).flatten() {
        Some(n_times) => tracing::error!(%error, n_times, "no connection can be accepted"),
        None => tracing::debug!(%error, "a connection was not accepted"),
    }
}
