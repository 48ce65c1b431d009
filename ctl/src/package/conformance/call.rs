//! Calls of a package under examination: made, waited for, and counted.
//!
//! `start` is always called on a thread of its own, as it may never return. All waiting is for what the package says,
//! up to a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use cloacina::{CallEnd, HostCall, Probe, ProbeCall, StructSize};
use cloacina_workflow::abi::{STATUS_OK, STATUS_REFUSED};

use super::message::Subject;

/// What `start` of a task that does not block may take on a busy machine.
const START_MAX: Duration = Duration::from_secs(2);
/// How long a task may run before it is cancelled.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long to wait for calls of the host that a package must no longer make.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// The package, and the numbers that were given out.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) probe: Arc<Probe>,
    pub(super) subject: Subject,
    pub(super) patience: Duration,
    next: AtomicU64,
}

/// How one call is made.
#[derive(Debug, Clone)]
pub(super) struct Making {
    pub(super) task: u32,
    pub(super) encoding: u32,
    pub(super) size: StructSize,
    pub(super) context: Vec<u8>,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What `start` answered, if it returned.
    pub(super) answer: Option<i32>,
    pub(super) ends: Vec<CallEnd>,
    /// Whether it had to be cancelled, so that it would end.
    is_late: bool,
    /// Whether `start` kept a thread on which nothing may block.
    is_held_up: bool,
}

impl Calls {
    pub(super) fn new(probe: Probe, subject: Subject, patience: Duration) -> Self {
        Self { probe: Arc::new(probe), subject, patience, next: AtomicU64::new(1) }
    }

    /// An ordinary call of the subject.
    pub(super) fn ordinary(&self, context: &[u8]) -> Making {
        let (size, context) = (StructSize::Exact, context.to_vec());
        Making { task: self.subject.index, encoding: 0, size, context }
    }

    /// Makes a call; returns its number.
    pub(super) fn make(&self, making: &Making) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (probe, making) = (Arc::clone(&self.probe), making.clone());
        thread::spawn(move || {
            let Making { task, encoding, size, context } = &making;
            let (task, encoding, size) = (*task, *encoding, *size);
            probe.start(ProbeCall { task, call: number, encoding, context, size })
        });
        number
    }

    /// Waits for the end of a call, and then a little for a second one.
    pub(super) fn outcome(&self, number: u64) -> Outcome {
        let has_ended = |heard: &[HostCall]| !ends(heard, number).is_empty();
        let has_answered = |heard: &[HostCall]| answer(heard, number).is_some();
        let is_held_up = !self.subject.blocking && !has_answered(&self.probe.wait(START_MAX, has_answered));
        let is_over =
            |heard: &[HostCall]| has_ended(heard) || answer(heard, number).is_some_and(|status| status != STATUS_OK);
        let is_late = !is_over(&self.probe.wait(self.patience, is_over));
        if is_late {
            // A task may well take longer than anybody wants to wait here; then it has to stop when it is asked to.
            self.probe.cancel(number);
            self.probe.wait(self.patience, is_over);
        }
        let heard = self.probe.wait(QUIET, |heard| ends(heard, number).len() > 1);
        if has_ended(&heard) {
            self.probe.wait(START_MAX, has_answered);
        }
        let heard = self.probe.host_calls();
        Outcome { answer: answer(&heard, number), ends: ends(&heard, number), is_late, is_held_up }
    }

    /// Makes a call that must be refused; whether it was, and nothing completed.
    pub(super) fn is_refused(&self, making: &Making) -> bool {
        let n_ends =
            |heard: &[HostCall]| heard.iter().filter(|heard| matches!(heard, HostCall::Completed { .. })).count();
        let n_before = n_ends(&self.probe.host_calls());
        let number = self.make(making);
        self.probe.wait(START_MAX, |heard| answer(heard, number).is_some());
        let heard = self.probe.wait(QUIET, |heard| n_ends(heard) > n_before);
        answer(&heard, number) == Some(STATUS_REFUSED) && n_ends(&heard) == n_before
    }

    /// Cancels a call once it has begun.
    pub(super) fn cancel(&self, number: u64) {
        let patience = if self.subject.blocking { HEAD_START } else { START_MAX };
        self.probe.wait(patience, |heard| answer(heard, number).is_some());
        self.probe.cancel(number);
    }

    /// Makes a call and waits for its end.
    pub(super) fn call(&self, making: &Making) -> Outcome {
        self.outcome(self.make(making))
    }

    /// Whether the number was given out.
    pub(super) fn was_made(&self, number: u64) -> bool {
        (1..self.next.load(Ordering::Relaxed)).contains(&number)
    }
}

impl Outcome {
    pub(super) fn is_refused(&self) -> bool {
        self.answer == Some(STATUS_REFUSED) && self.ends.is_empty()
    }

    /// What is wrong with it as the outcome of a call that may be refused.
    pub(super) fn problem(&self, calls: &Calls) -> Option<String> {
        let patience = humantime::format_duration(calls.patience);
        match (self.answer, self.ends.as_slice()) {
            (Some(STATUS_REFUSED), []) => None,
            (Some(STATUS_REFUSED), _) => Some("was refused, and completed nevertheless".to_owned()),
            (Some(status), _) if status != STATUS_OK => {
                Some(format!("start answered {status}, which is neither CLCN_OK nor CLCN_REFUSED"))
            }
            (_, []) => Some(format!("had not completed after {patience}, nor {patience} after it was cancelled")),
            _ if self.is_held_up => {
                Some("start had not returned after 2s, though the task is not \"blocking\"".to_owned())
            }
            (None, _) => Some("start had not returned 2s after the call completed".to_owned()),
            (_, [CallEnd::Bad { code, message }]) => {
                Some(format!("completed with an invalid result: {code}: {message}"))
            }
            (_, [_]) => None,
            (_, several) => Some(format!("completed {} times", several.len())),
        }
    }

    /// How it ended, for people.
    pub(super) fn text(&self) -> String {
        let end = match self.ends.first() {
            None => "refused".to_owned(),
            Some(CallEnd::Done) => "completed".to_owned(),
            Some(CallEnd::Cancelled) => "ended as cancelled".to_owned(),
            Some(CallEnd::Failed { kind, message }) => format!("failed with {kind}: {message}"),
            Some(CallEnd::Bad { code, .. }) => format!("ended with {code}"),
        };
        match self.is_late {
            true => format!("{end}, once it was cancelled because it took too long"),
            false => end,
        }
    }
}

/// The ends of that call.
pub(super) fn ends(heard: &[HostCall], number: u64) -> Vec<CallEnd> {
    let of_call = heard.iter().filter_map(|heard| match heard {
        HostCall::Completed { call, end } if *call == number => Some(end.clone()),
        _ => None,
    });
    of_call.collect()
}

/// What `start` answered to that call.
fn answer(heard: &[HostCall], number: u64) -> Option<i32> {
    heard.iter().find_map(|heard| match heard {
        HostCall::Answered { call, status } if *call == number => Some(*status),
        _ => None,
    })
}
