//! What an engine does besides runs: services, on a runtime of their own and in one set.
//!
//! A service waits for something that becomes due or is told, and does it: ends quarantines, expires keys, keeps accounts,
//! looks at packages of other engines. Tasks of users have another runtime, so that nothing they do keeps a service
//! from its work. All services are ended and waited for before the store is closed.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::{JoinError, JoinSet},
};

/// Services are few and mostly wait.
const THREADS: usize = 1;

/// How many services may block at once, on the store or on files. More wait for their turn.
const BLOCKING_THREADS: usize = 8;

/// How long blocking work that was begun gets to end with the engine.
const WAIT: Duration = Duration::from_secs(1);

/// The runtime of the services, which its owner stops.
#[derive(Debug)]
pub(super) struct ServiceRuntime {
    runtime: Runtime,
    services: Services,
}

/// Starts services.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    threads: Handle,
    set: Arc<Mutex<JoinSet<()>>>,
}

impl ServiceRuntime {
    /// How many threads it has from its beginning.
    pub(super) const N_THREADS: usize = THREADS;

    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("cloacina-service")
            .enable_all()
            .build()?;
        let services = Services { threads: runtime.handle().clone(), set: Arc::default() };
        Ok(Self { runtime, services })
    }

    pub(super) fn services(&self) -> &Services {
        &self.services
    }

    /// Ends all services where they wait, and waits for what they have begun. Must not be called on a runtime's thread.
    pub(super) fn stop(self) {
        let mut set = std::mem::take(&mut *self.services.lock());
        set.abort_all();
        self.runtime.block_on(async {
            while let Some(ended) = set.join_next().await {
                report(ended);
            }
        });
        self.runtime.shutdown_timeout(WAIT);
    }
}

impl Services {
    /// Runs a service until it ends by itself or with the engine.
    pub(crate) fn spawn(&self, service: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.lock();
        forget_ended(&mut set);
        set.spawn_on(service, &self.threads);
    }

    /// Does something once that may block.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        let mut set = self.lock();
        forget_ended(&mut set);
        set.spawn_blocking_on(work, &self.threads);
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set keeps what has ended until somebody asks for it.
fn forget_ended(set: &mut JoinSet<()>) {
    while let Some(ended) = set.try_join_next() {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a service of the engine panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn every_service_has_ended_when_the_runtime_has_stopped() {
        let runtime = ServiceRuntime::start().unwrap();
        let (held, dropped) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        runtime.services().spawn(async move {
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(held);
        });
        has_begun.recv().unwrap();
        runtime.stop();
        assert!(matches!(dropped.try_recv(), Err(mpsc::TryRecvError::Disconnected)));
    }

    #[test]
    fn what_has_ended_is_not_kept() {
        let runtime = ServiceRuntime::start().unwrap();
        let services = runtime.services().clone();
        for _ in 0..100 {
            let (end, ended) = mpsc::channel::<()>();
            services.spawn_blocking(move || drop(end));
            ended.recv().unwrap_err();
        }
        // The last ones may be about to end.
        assert!(services.lock().len() < 100);
        runtime.stop();
    }
}
