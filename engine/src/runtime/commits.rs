//! The driver's side of the store's writer: commits on their way, and what follows from each when it is durable.
//!
//! The store answers in the order in which commits were handed over, so what follows is kept in that order too.

use std::{collections::VecDeque, mem};

use cloacina_workflow::Timestamp;
use tokio::sync::{oneshot, watch};

use super::{
    active::ActiveRun,
    event::{NotSubmitted, Phase, SubmissionAnswer},
};
use crate::{
    Error,
    core::effect::{Decision, Effect},
    id::RunId,
    store::{Commit, Committer},
};

/// Commits that are decided, and those that the store has not answered.
#[derive(Debug)]
pub(super) struct Commits {
    /// Absent when the writer is gone.
    committer: Option<Committer>,
    /// Decided in this batch, not handed on yet.
    decided: Vec<Commit>,
    /// What follows from each commit that the store has not answered, in order.
    pending: VecDeque<Pending>,
    /// Whether the history lacks something that happened, so that the next engine must assume the worst.
    has_gap: bool,
}

/// What is to be done when a commit is durable.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) run: RunId,
    /// The epoch under which it was decided.
    pub(super) epoch: i64,
    pub(super) answer: Option<Answer>,
    pub(super) decision: Decision,
    pub(super) at: Timestamp,
}

/// Where the answer goes that somebody waits for until a commit is durable.
#[derive(Debug)]
pub(super) enum Answer {
    Submitted(SubmissionAnswer),
    Controlled(oneshot::Sender<Result<(), Error>>),
}

/// The writer of the store is gone, which it does not do by itself.
#[derive(Debug)]
pub(super) struct WriterGone;

impl Commits {
    pub(super) fn new(committer: Committer) -> Self {
        Self { committer: Some(committer), decided: Vec::new(), pending: VecDeque::new(), has_gap: false }
    }

    /// Keeps a commit until the batch is handed over.
    pub(super) fn queue(&mut self, commit: Commit, pending: Pending) {
        self.decided.push(commit);
        self.pending.push_back(pending);
    }

    /// Hands over what was decided in this batch.
    pub(super) fn flush(&mut self) -> Result<(), WriterGone> {
        if self.decided.is_empty() {
            return Ok(());
        }
        let committer = self.committer.as_ref().ok_or(WriterGone)?;
        committer.commit(mem::take(&mut self.decided)).map_err(|_| WriterGone)
    }

    /// The store has answered the oldest commit: what follows from it.
    pub(super) fn answered(&mut self) -> Option<Pending> {
        self.pending.pop_front()
    }

    /// Whether the store has answered everything.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.decided.is_empty()
    }

    /// Whether the store has not answered a commit of the run.
    pub(super) fn has_any_of(&self, run: RunId) -> bool {
        self.pending.iter().any(|pending| pending.run == run)
    }

    /// Something that happened is not recorded, and will not be.
    pub(super) fn note_gap(&mut self) {
        self.has_gap = true;
    }

    pub(super) fn has_gap(&self) -> bool {
        self.has_gap
    }

    /// Forgets everything, as the writer is gone. Returns whether it was there until now.
    pub(super) fn lose_writer(&mut self) -> bool {
        let was_there = self.committer.take().is_some();
        self.has_gap |= was_there;
        self.decided.clear();
        self.pending.clear();
        was_there
    }
}

impl Pending {
    /// Nothing follows but that the order is kept.
    pub(super) fn nothing(run: RunId, epoch: i64, at: Timestamp) -> Self {
        Self { run, epoch, answer: None, decision: Decision::default(), at }
    }

    /// How many slots are held for attempts that are to start when it is durable.
    pub(super) fn n_slots(&self) -> usize {
        self.decision.effects.iter().filter(|effect| matches!(effect, Effect::Perform { .. })).count()
    }
}

impl Answer {
    /// The commit is durable. The run goes on even if the caller has gone.
    pub(super) fn done(self, active: Option<&ActiveRun>) {
        match self {
            // Without the run another engine has it by now.
            Self::Submitted(answer) => {
                let phase = active.map_or_else(|| watch::channel(Phase::Fenced).1, ActiveRun::subscribe);
                drop(answer.send(Ok(phase)));
            }
            Self::Controlled(answer) => drop(answer.send(Ok(()))),
        }
    }

    /// Nothing is stored.
    pub(super) fn refuse(self, submission: NotSubmitted, error: Error) {
        match self {
            Self::Submitted(answer) => drop(answer.send(Err(submission))),
            Self::Controlled(answer) => drop(answer.send(Err(error))),
        }
    }
}
