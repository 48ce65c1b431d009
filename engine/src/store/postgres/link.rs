//! A client and what drives it.
//!
//! It waits on a runtime of its own that has no threads: the caller drives the connection until there is an answer, so a
//! statement costs no change of threads.

use std::{future::Future, panic::resume_unwind, thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::{Client, Config, NoTls};

use super::{super::error::NotOpened, failure};

/// A client of a server, for callers that may block.
pub(crate) struct Link {
    client: Client,
    /// Absent while the link is being dropped.
    runtime: Option<Runtime>,
}

impl Link {
    /// Opens a connection to the server of that address.
    pub(crate) fn open(config: &Config) -> Result<Self, NotOpened> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NotOpened::other(format!("cannot wait for a server: {error}")))?;
        let opened = drive(&runtime, config.connect(NoTls));
        let (client, connection) =
            opened.map_err(|error| NotOpened::new(failure::words(&error), failure::open_trouble(&error)))?;
        // Its errors are told to the statement that waits. It ends with the client.
        runtime.spawn(async {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection to the server has ended");
            }
        });
        Ok(Self { client, runtime: Some(runtime) })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Drives the connection until the future is done.
    pub(crate) fn wait<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        drive(self.runtime.as_ref().expect("invariant: it is there until the link is dropped"), future)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Where another runtime runs, waiting for this one to end would be an error.
            runtime.shutdown_background();
        }
    }
}

fn drive<F>(runtime: &Runtime, future: F) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    if Handle::try_current().is_err() {
        return runtime.block_on(future);
    }
    // A thread that drives another runtime must not drive this one, too.
    thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
