//! What `dev` and `serve` share: starting an engine and its server, telling where they are, and ending both in order.
//!
//! The server ends first, so that no request reaches an engine that has stopped. The engine then lets attempts finish; a second
//! signal does not wait for them.

use std::pin::pin;
use std::time::Duration;

use cloacina::{Builder, Caller, Engine};
use cloacina_server::{Listener, Server};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use crate::cli::{EngineArgs, IsolationArgs};
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::isolation::{isolate, refuse_unknown};
use crate::log;
use crate::output::{Output, Paint, Warning};
use crate::run::{Interrupt, Interrupts, stop};
use crate::runs::{Patience, builder, start_patiently};

/// A server that has started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Started {
    /// The address of the server.
    url: String,
    /// The address of the pages that describe the interface and try it out.
    swagger_ui: String,
    /// The database: the path of the file, or the server's address without its password.
    database: String,
    /// The folder of what is not in the database.
    data_dir: String,
    /// The account that the database got because it had none. Absent if it had one, and without a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<FirstAdmin>,
}

/// The account of an admin of every tenant that was made. Its password is shown this once, and kept nowhere.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct FirstAdmin {
    /// The name to log in with.
    username: String,
    /// The password.
    password: String,
}

impl Document for Started {}

/// What a server is started with.
pub(super) struct Start<'a> {
    pub(super) listener: Listener,
    pub(super) database: &'a Database,
    pub(super) isolation: &'a IsolationArgs,
    pub(super) engine: &'a EngineArgs,
}

/// An engine with its server, which takes connections and answers nobody yet.
pub(super) struct Living {
    pub(super) engine: Engine,
    pub(super) server: Server,
    interrupts: Interrupts,
    drain: Duration,
    admin: Option<FirstAdmin>,
}

impl Living {
    pub(super) async fn start(start: Start<'_>, output: &Output) -> Result<Self, Error> {
        let interrupts = Interrupts::listen()?;
        log::show(output);
        let mut patience = Patience::new(output);
        let build = async || -> Result<Engine, Error> {
            let slots = usize::try_from(start.engine.slots).unwrap_or(usize::MAX);
            let builder: Builder = builder(start.database)?.log_level(start.engine.log_level).slots(slots);
            Ok(isolate(builder, start.isolation).start().await?)
        };
        let engine = start_patiently(&start.database.url, &mut patience, build).await?;
        refuse_unknown(&engine, start.isolation)?;
        match serve(&engine, start.listener, output).await {
            Ok((server, admin)) => Ok(Self { engine, server, interrupts, drain: start.engine.drain, admin }),
            Err(error) => {
                // The first error is the one to tell.
                engine.shutdown_within(Duration::ZERO).await.ok();
                Err(error)
            }
        }
    }

    pub(super) fn started(&self) -> Started {
        let url = self.server.url();
        Started {
            swagger_ui: format!("{url}/swagger-ui/"),
            url,
            database: self.engine.database().to_owned(),
            data_dir: self.engine.data_dir().display().to_string(),
            admin: self.admin.clone(),
        }
    }

    /// Serves until somebody asks the program to stop, and lets requests and then attempts finish; a second signal ends the
    /// program at once.
    pub(super) async fn serve(self, output: &Output) -> Result<(), Error> {
        let Self { engine, server, mut interrupts, drain, admin: _ } = self;
        let (ask, asked) = oneshot::channel::<()>();
        let asked = async {
            // Without a sender the program has stopped already.
            asked.await.ok();
        };
        let mut serving = pin!(server.run(asked));
        tokio::select! {
            served = &mut serving => return Ok(served?),
            () = signal(&mut interrupts) => drop(ask),
        }
        output.note(&format!("stopping: requests may finish for {} s; another signal stops at once", drain.as_secs()));
        tokio::select! {
            served = &mut serving => served?,
            () = signal(&mut interrupts) => return Ok(()),
        }
        stop(&engine, true, drain, output, &mut interrupts).await
    }
}

/// The server of an engine, and the account that its database got because it had none.
async fn serve(engine: &Engine, listener: Listener, output: &Output) -> Result<(Server, Option<FirstAdmin>), Error> {
    let (address, has_login, has_tls) = (listener.address(), listener.has_login(), listener.has_tls());
    let server = listener.serve(engine.clone())?;
    if !address.ip().is_loopback() && !has_tls {
        let message = format!("{address} can be reached from other machines, and what is sent is not encrypted");
        output.warning(&Warning { code: "WRN0009".into(), message });
    }
    let access = engine.on_behalf_of(Caller::owner()).access();
    let made = if has_login { access.first_admin().await.map_err(cloacina::Error::from)? } else { None };
    Ok((server, made.map(|(username, password)| FirstAdmin { username, password })))
}

impl Started {
    pub(super) fn text(&self, paint: Paint) -> String {
        let admin = self.admin.as_ref().map_or_else(String::new, |FirstAdmin { username, password }| {
            format!("  admin      {username}, password {password}, which is not shown again\n")
        });
        format!(
            "{} {}\n  interface  {}\n  database   {}\n  data       {}\n{admin}",
            paint.bold("server"),
            self.url,
            self.swagger_ui,
            self.database,
            self.data_dir
        )
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

/// Waits for a signal to stop. A server goes on when nobody reads what it printed.
async fn signal(interrupts: &mut Interrupts) {
    while interrupts.next().await == Interrupt::Unread {}
}

/// The runtime of the server. The engine has its own.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name("cloacina-http")
        .enable_all()
        .build()
        .map_err(|source| Error::Io { action: "start threads for", path: "the server".into(), source })
}
