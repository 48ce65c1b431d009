//! Submitting runs, one by one and as lists. A submission is answered when it is durable.
//!
//! A list goes to the driver as a whole, which hands it to the writer as a whole: its runs become durable together, with as
//! few commits as the writer needs, and each has an outcome of its own.

use std::{collections::BTreeMap, sync::Arc};

use cloacina_workflow::{__private::v1::input_values, Context, Value};
use tokio::sync::{SemaphorePermit, oneshot, watch};

use super::{
    handle::{Scheduler, Shared},
    request::{Beginning, RunRequest},
    run_handle::RunHandle,
};
use crate::{
    Error,
    api::Role,
    core::{
        context::{Key, Value as RawValue},
        effect::after,
    },
    id::RunId,
    limit,
    runtime::{self, Begin, Event, NotSubmitted, Origin, Phase, Submission, SubmissionAnswer, Workflow},
    store::{self, Error as StoreError},
};

/// How often a submission is made again that lost its epoch on the way.
const SUBMIT_TRIES: usize = 3;

/// The maximum of concurrent submissions; others wait, so that the driver's queue stays short.
pub(super) const SUBMISSIONS_MAX: usize = 4096;

/// Runs of a list that are on their way at once. More runs would keep other runs from their turn.
const LIST_PART: usize = 1_000;

/// A run to be that has no id yet.
pub(super) struct Wanted {
    pub(super) workflow: Workflow,
    pub(super) input: BTreeMap<Key, RawValue>,
    pub(super) begin: Begin,
    pub(super) origin: Origin,
}

/// A run that is durable, and where it tells of itself.
pub(super) type Submitted = (RunId, watch::Receiver<Phase>);

type Answered = oneshot::Receiver<Result<watch::Receiver<Phase>, NotSubmitted>>;

impl Scheduler {
    /// Starts a run of the workflow with that name, and returns when the submission is durable: `workflow`,
    /// `package::workflow` or `tenant::package::workflow`.
    ///
    /// # Errors
    /// [`Error::UnknownWorkflow`] and [`Error::AmbiguousWorkflow`] with similar names; [`Error::Input`] if a value
    /// nests too deep.
    pub async fn schedule_workflow(&self, name: &str, context: Context<Value>) -> Result<RunHandle, Error> {
        self.submit(RunRequest::new(name, context)).await
    }

    /// As [`Self::schedule_workflow`], with all options of a new run.
    ///
    /// # Errors
    /// As [`Self::schedule_workflow`].
    pub async fn submit(&self, request: RunRequest) -> Result<RunHandle, Error> {
        let (id, wanted) = self.wanted(request).await?;
        let key = wanted.origin.key.clone();
        let submitted = self.shared.submit(wanted, id).await;
        self.handle(submitted, key).await
    }

    /// Starts the runs of a list, and returns when all those are durable that were not refused. Each run has its own outcome, in
    /// the order of the list: one that is refused keeps no other from being submitted.
    ///
    /// A list costs less than as many submissions one by one: its runs become durable together, up to 1,000 at once.
    pub async fn submit_many(&self, requests: Vec<RunRequest>) -> Vec<Result<RunHandle, Error>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let mut wanted = Vec::new();
            for request in requests.by_ref().take(LIST_PART) {
                wanted.push(self.wanted(request).await);
            }
            outcomes.extend(self.submit_part(wanted).await);
        }
        outcomes
    }

    async fn submit_part(&self, wanted: Vec<Result<(RunId, Wanted), Error>>) -> Vec<Result<RunHandle, Error>> {
        let key =
            |one: &Result<(RunId, Wanted), Error>| one.as_ref().ok().and_then(|(_, wanted)| wanted.origin.key.clone());
        let keys: Vec<Option<String>> = wanted.iter().map(key).collect();
        let mut outcomes = Vec::with_capacity(keys.len());
        for (submitted, key) in self.shared.submit_many(wanted).await.into_iter().zip(keys) {
            outcomes.push(self.handle(submitted, key).await);
        }
        outcomes
    }

    /// What is to be submitted, and the id that the run gets.
    async fn wanted(&self, request: RunRequest) -> Result<(RunId, Wanted), Error> {
        let RunRequest { workflow: name, input, begin, key, by, version } = request;
        self.caller.check(Role::Operator)?;
        limit::SELECTOR.check(&name)?;
        key.as_deref().map_or(Ok(()), |key| limit::SUBMISSION_KEY.check(key))?;
        by.as_deref().map_or(Ok(()), |by| limit::ACTOR.check(by))?;
        version.as_deref().map_or(Ok(()), |version| limit::SELECTOR.check(version))?;
        let id = RunId::new(self.shared.clock.now());
        let workflow = match &version {
            Some(version) => self.shared.resolve_version(&self.caller, &name, version).await?,
            // What has one key gets one version, whatever else is asked for with it.
            None => self.shared.resolve(&self.caller, &name, &key.clone().unwrap_or_else(|| id.to_string())).await?,
        };
        let input = input_values(&input).map_err(Error::Input)?;
        let begin = match begin {
            Beginning::Now => Begin::Now,
            Beginning::Held => Begin::Held,
            Beginning::At(at) => Begin::At(at),
            Beginning::After(wait) => Begin::At(after(self.shared.clock.now(), wait)),
        };
        // One key may mean different things to different workflows.
        let key = key.map(|key| format!("{}/{key}", workflow.version.key.full_name()));
        Ok((id, Wanted { workflow, input, begin, origin: Origin { key, by: by.map(Into::into), derived: None } }))
    }

    async fn handle(&self, submitted: Result<Submitted, Error>, key: Option<String>) -> Result<RunHandle, Error> {
        let (id, phase) = match (submitted, key) {
            // A new run can only lose to one that has its key.
            (Err(Error::Fenced { id }), Some(key)) => {
                let found = self
                    .shared
                    .store()
                    .read("looking for a key", move |connection| store::run_by_key(connection, &key));
                (found.await?.ok_or(Error::UnknownRun { id })?, None)
            }
            (submitted, _) => submitted.map(|(id, phase)| (id, Some(phase)))?,
        };
        Ok(RunHandle::new(id, Arc::downgrade(&self.shared), self.caller.clone(), phase))
    }
}

impl Shared {
    /// Creates a run, with that id unless it has to be tried again; returns when that is durable.
    pub(super) async fn submit(self: &Arc<Self>, wanted: Wanted, first: RunId) -> Result<Submitted, Error> {
        let permit = self.permits(1).await?;
        let mut n_tries = 0;
        loop {
            let id = if n_tries == 0 { first } else { RunId::new(self.clock.now()) };
            let (submission, answer, answered) = self.submission(&wanted, id)?;
            self.engine.send(Event::Submit(vec![(submission, answer)]))?;
            n_tries += 1;
            match answered.await.map_err(|_| Error::ShutDown)? {
                Ok(phase) => {
                    drop(permit);
                    return Ok((id, phase));
                }
                // Nothing was stored, and the next one waits for an epoch.
                Err(NotSubmitted::EpochEnded) if n_tries < SUBMIT_TRIES => {}
                Err(refused) => return Err(error(refused, id)),
            }
        }
    }

    /// Creates runs together, each with its id unless it has to be tried again; returns when that is durable. The outcomes
    /// are in the order of the runs, also of those that were refused before.
    async fn submit_many(
        self: &Arc<Self>,
        wanted: Vec<Result<(RunId, Wanted), Error>>,
    ) -> Vec<Result<Submitted, Error>> {
        let (mut submissions, mut sent) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(wanted.len()));
        for one in wanted {
            sent.push(one.and_then(|(id, wanted)| {
                let (submission, answer, answered) = self.submission(&wanted, id)?;
                submissions.push((submission, answer));
                Ok((id, wanted, answered))
            }));
        }
        // Where nothing can be handed over any longer, the answers end, and each run is told.
        let permits = match self.permits(submissions.len()).await {
            Ok(permits) => self.engine.send(Event::Submit(submissions)).is_ok().then_some(permits),
            Err(_) => {
                drop(submissions);
                None
            }
        };
        let mut answers = Vec::with_capacity(sent.len());
        for one in sent {
            answers.push(match one {
                Ok((id, wanted, answered)) => {
                    answered.await.map(|answer| (id, wanted, answer)).map_err(|_| Error::ShutDown)
                }
                Err(error) => Err(error),
            });
        }
        drop(permits);
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(match answer {
                Ok((id, _, Ok(phase))) => Ok((id, phase)),
                Ok((_, wanted, Err(NotSubmitted::EpochEnded))) => {
                    self.submit(wanted, RunId::new(self.clock.now())).await
                }
                Ok((id, _, Err(refused))) => Err(error(refused, id)),
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn permits(&self, n_runs: usize) -> Result<SemaphorePermit<'_>, Error> {
        let n_permits = u32::try_from(n_runs.min(SUBMISSIONS_MAX)).unwrap_or(1);
        self.submissions.acquire_many(n_permits).await.map_err(|_| Error::ShutDown)
    }

    fn submission(&self, wanted: &Wanted, id: RunId) -> Result<(Submission, SubmissionAnswer, Answered), Error> {
        let Wanted { workflow, input, begin, origin } = wanted;
        let payload = runtime::input_payload(input).map_err(|error| {
            Error::Store(StoreError::Corrupt { reason: format!("the input cannot be written: {error}") })
        })?;
        let (answer, answered) = oneshot::channel();
        let submission = Submission {
            id,
            workflow: workflow.clone(),
            input: input.clone(),
            payload,
            // A clock may be set back. Lists by time rely on that no run is older than its id.
            created_at: self.clock.now().max(id.made_at()),
            begin: *begin,
            origin: origin.clone(),
        };
        Ok((submission, answer, answered))
    }
}

fn error(refused: NotSubmitted, id: RunId) -> Error {
    match refused {
        NotSubmitted::EpochEnded | NotSubmitted::KeyTaken => Error::Fenced { id },
        NotSubmitted::Failed(error) => error,
    }
}
