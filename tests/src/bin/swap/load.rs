//! Runs that are always under way, and what became of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloacina::{Context, Engine, RunReport, RunState};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::Failure;

/// What became of the runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Completed, by one version.
    pub(crate) completed: u64,
    /// Ended otherwise.
    pub(crate) failed: u64,
    /// Completed, but not by one version alone.
    pub(crate) mixed: u64,
    /// One that was not as it should be.
    pub(crate) example: Option<String>,
}

/// Submitters, each of which has one run under way.
pub(crate) struct Load {
    account: Arc<Mutex<Account>>,
    ended: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    submitters: JoinHandle<Result<(), Failure>>,
}

impl Load {
    /// Begins to submit.
    pub(crate) fn start(engine: &Engine, in_flight: usize) -> Self {
        let (account, (stop, stopped)) = (Arc::<Mutex<Account>>::default(), watch::channel(false));
        let (progress, ended) = watch::channel(0);
        let progress = Arc::new(progress);
        let mut submitters = JoinSet::new();
        for _ in 0..in_flight {
            submitters.spawn(submit(engine.clone(), Arc::clone(&account), Arc::clone(&progress), stopped.clone()));
        }
        let submitters = tokio::spawn(async move {
            while let Some(ended) = submitters.join_next().await {
                ended??;
            }
            Ok(())
        });
        Self { account, ended, stop, submitters }
    }

    /// What became of the runs until now.
    pub(crate) fn account(&self) -> Account {
        lock(&self.account).clone()
    }

    /// Waits until a run has ended since this was last asked, so that no swap happens without load.
    pub(crate) async fn made_progress(&self) -> Result<(), Failure> {
        let mut ended = self.ended.clone();
        ended.mark_unchanged();
        // The submitters hold the other end.
        ended.changed().await.map_err(|_| "the submitters have ended".into())
    }

    /// Lets the last runs end.
    pub(crate) async fn stop(self) -> Result<Account, Failure> {
        self.stop.send_replace(true);
        self.submitters.await??;
        let account = lock(&self.account).clone();
        Ok(account)
    }
}

async fn submit(
    engine: Engine,
    account: Arc<Mutex<Account>>,
    progress: Arc<watch::Sender<u64>>,
    stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    while !*stopped.borrow() {
        let run = engine.scheduler().schedule_workflow("swapped::work", Context::new()).await?;
        let report = run.wait().await?;
        lock(&account).add(&report);
        progress.send_modify(|ended| *ended += 1);
    }
    Ok(())
}

impl Account {
    fn add(&mut self, report: &RunReport) {
        let (first, second) = (report.context.get("first"), report.context.get("second"));
        let place = match report.state {
            RunState::Completed if first.is_some() && first == second => &mut self.completed,
            RunState::Completed => &mut self.mixed,
            _ => &mut self.failed,
        };
        *place += 1;
        if report.state != RunState::Completed || first != second {
            self.example.get_or_insert_with(|| format!("{report:?}"));
        }
    }
}

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
