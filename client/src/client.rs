//! A client of one server: connections that are kept, a credential, and how requests are sent.
//!
//! A request is sent once. What is lost with its connection is an error, as only the caller knows whether the request may be
//! performed twice.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use hyper::{
    Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{
    address::Address,
    answer::{Answer, lost},
    auth::{Session, bearer},
    body::{self, Body},
    connector::{Connector, connector, distrust},
    error::Error,
};

/// Where the resources are.
pub(crate) const BASE: &str = "/api/v1";

/// How long a server may take to begin its answer. The slowest answers are those about ten thousand runs.
const ANSWER_WAIT: Duration = Duration::from_mins(5);

/// The header by which an admin of every tenant names one.
const TENANT: HeaderName = HeaderName::from_static("cloacina-tenant");

/// What a request shows to be let in.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing: the server asks nobody for a login.
    #[default]
    None,
    /// An API key, or an access token.
    Bearer(String),
    /// A login, whose tokens are renewed.
    Session(Session),
}

/// How a client asks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What a request shows to be let in.
    pub credential: Credential,
    /// The tenant to ask for, which only an admin of every tenant can name.
    pub tenant: Option<String>,
    /// The file, in PEM, with the authorities whose certificates are trusted, and no others; without one, those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A client of one server. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: legacy::Client<Connector, Body>,
    address: Address,
    head: Arc<Head>,
}

/// The headers of every request.
struct Head {
    authorization: Authorization,
    tenant: Option<HeaderValue>,
}

/// What a request shows.
enum Authorization {
    Nothing,
    Same(HeaderValue),
    Renewed(Session),
}

impl Client {
    /// A client of the server at that address, such as `http://127.0.0.1:8080`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Authorities`] if no certificate authority can be read, or [`Error::Header`] for a credential or a tenant that cannot be sent.
    pub fn new(address: &str, options: Options) -> Result<Self, Error> {
        let address = Address::parse(address)?;
        let connector = connector(&address, options.ca_file.as_deref())?;
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, address, head: Arc::new(Head::of(options)?) })
    }

    /// The address of the server.
    #[must_use]
    pub fn url(&self) -> String {
        self.address.to_string()
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(self.request(Method::GET, path, body::empty())?).await?.json().await
    }

    /// Sends JSON, and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, value: &impl Serialize) -> Result<T, Error> {
        self.send(self.with_json(Method::POST, path, value)?).await?.json().await
    }

    /// Sends a request without a body, and reads JSON.
    pub(crate) async fn act<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.send(self.request(Method::POST, path, body::empty())?).await?.json().await
    }

    /// Removes something.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Error> {
        self.send(self.request(Method::DELETE, path, body::empty())?).await.map(drop)
    }

    /// A request with a JSON body.
    pub(crate) fn with_json(&self, method: Method, path: &str, value: &impl Serialize) -> Result<Request<Body>, Error> {
        let mut request = self.request(method, path, body::json(value))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// A request with the headers of every request.
    pub(crate) fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Body>, Error> {
        let uri: Uri = self.address.of(path)?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.extend(self.head.tenant.iter().map(|tenant| (TENANT, tenant.clone())));
        Ok(request)
    }

    /// Sends a request; anything but success is an error.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Answer, Error> {
        self.exchange(request).await?.success().await
    }

    /// Sends a request without the credential; anything but success is an error.
    pub(crate) async fn send_as_nobody(&self, request: Request<Body>) -> Result<Answer, Error> {
        self.pass(request).await?.success().await
    }

    /// Sends a request, whatever is answered.
    pub(crate) async fn exchange(&self, mut request: Request<Body>) -> Result<Answer, Error> {
        let authorization = match &self.head.authorization {
            Authorization::Nothing => None,
            Authorization::Same(authorization) => Some(authorization.clone()),
            // The renewal is a request that shows no credential, and does not come here again.
            Authorization::Renewed(session) => Some(Box::pin(session.authorization(self)).await?),
        };
        request.headers_mut().extend(authorization.map(|authorization| (AUTHORIZATION, authorization)));
        self.pass(request).await
    }

    async fn pass(&self, request: Request<Body>) -> Result<Answer, Error> {
        let url = self.url();
        match timeout(ANSWER_WAIT, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(Answer::new(url, response)),
            Ok(Err(source)) if source.is_connect() => match distrust(&source) {
                Some(reason) => Err(Error::Untrusted { url, reason }),
                None => Err(Error::Unreachable { url, source: source.into() }),
            },
            Ok(Err(source)) => Err(lost(url, source)),
            Err(elapsed) => Err(lost(url, elapsed)),
        }
    }
}

impl Head {
    fn of(options: Options) -> Result<Self, Error> {
        let Options { credential, tenant, ca_file: _ } = options;
        let authorization = match credential {
            Credential::None => Authorization::Nothing,
            Credential::Bearer(secret) => Authorization::Same(bearer(&secret)?),
            Credential::Session(session) => Authorization::Renewed(session),
        };
        let tenant = tenant.map(|tenant| HeaderValue::from_str(&tenant)).transpose();
        Ok(Self { authorization, tenant: tenant.map_err(|_| Error::Header { what: "name of the tenant" })? })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Without the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer",
            Self::Session(_) => "Session",
        })
    }
}
