//! Retry policies: after a failed attempt, how long to wait before the next one, or that there is none.
//!
//! The random part of a wait comes with the failure, so the same failure always has the same result.

use std::time::Duration;

use cloacina_workflow::descriptor::{Backoff, Retry, RetryCondition};

/// What was declared about retries of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// How many attempts may follow the first.
    pub(crate) retries: u32,
    pub(crate) backoff: Backoff,
    pub(crate) delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) jitter: bool,
    pub(crate) condition: RetryCondition,
}

/// What is known of a failed attempt, as far as it decides about another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// Whether another attempt may help, as far as the author of the error knew.
    pub(crate) retryable: bool,
    /// The wait that the failing side asked for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether the attempt did not stop when it was asked to, so that the engine no longer waits for it.
    pub(crate) abandoned: bool,
    /// Drawn outside, evenly from all values.
    pub(crate) chance: u16,
}

impl Policy {
    pub(crate) fn new(declared: &Retry) -> Self {
        Self {
            retries: declared.attempts,
            backoff: declared.backoff,
            delay: Duration::from_millis(declared.delay_ms),
            max_delay: Duration::from_millis(declared.max_delay_ms),
            jitter: declared.jitter,
            condition: declared.condition.clone(),
        }
    }

    /// How long to wait after the task's `n_failures`th failure; `None` if it was the last attempt. A wait that the
    /// failing side asked for is a lower bound, whatever the longest delay is: asking again earlier would be in vain.
    pub(crate) fn wait(&self, n_failures: u32, failure: &Failure) -> Option<Duration> {
        if n_failures > self.retries || !failure.retryable || !self.matches(failure) {
            return None;
        }
        let delay = match self.backoff {
            Backoff::Fixed => self.delay,
            Backoff::Linear => self.delay.saturating_mul(n_failures),
            Backoff::Exponential => {
                let factor = 1_u32.checked_shl(n_failures.saturating_sub(1)).unwrap_or(u32::MAX);
                self.delay.saturating_mul(factor)
            }
        };
        let delay = delay.min(self.max_delay);
        // Between a half and the whole, so that tasks which failed together do not all come back together.
        let delay = if self.jitter {
            let half = delay / 2;
            half + half.mul_f64(f64::from(failure.chance) / f64::from(u16::MAX))
        } else {
            delay
        };
        Some(delay.max(failure.retry_after.unwrap_or_default()))
    }

    fn matches(&self, failure: &Failure) -> bool {
        match &self.condition {
            RetryCondition::Never => false,
            RetryCondition::All => true,
            RetryCondition::Transient => failure.kind == "transient",
            RetryCondition::Patterns(patterns) => patterns
                .iter()
                .any(|pattern| failure.kind.contains(pattern.as_str()) || failure.message.contains(pattern.as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(backoff: Backoff) -> Policy {
        let (delay, max_delay) = (Duration::from_millis(100), Duration::from_millis(350));
        Policy { retries: 5, backoff, delay, max_delay, jitter: false, condition: RetryCondition::All }
    }

    fn failure(kind: &str, message: &str) -> Failure {
        Failure { kind: kind.to_owned(), message: message.to_owned(), retryable: true, ..Failure::default() }
    }

    #[test]
    fn waits_grow_as_declared_up_to_the_longest() {
        for (backoff, expected) in [
            (Backoff::Fixed, [100, 100, 100, 100, 100]),
            (Backoff::Linear, [100, 200, 300, 350, 350]),
            (Backoff::Exponential, [100, 200, 350, 350, 350]),
        ] {
            let policy = policy(backoff);
            let waits = [1, 2, 3, 4, 5].map(|n| policy.wait(n, &failure("x", "")).unwrap().as_millis());
            assert_eq!(waits, expected, "{backoff:?}");
            assert_eq!(policy.wait(6, &failure("x", "")), None);
        }
    }

    #[test]
    fn jitter_takes_up_to_a_half_away() {
        let policy = Policy { jitter: true, ..policy(Backoff::Fixed) };
        let wait = |chance| policy.wait(1, &Failure { chance, ..failure("x", "") }).unwrap().as_millis();
        assert_eq!((wait(0), wait(u16::MAX)), (50, 100));
        assert!((70..80).contains(&wait(u16::MAX / 2)));
    }

    #[test]
    fn conditions_choose_by_kind_and_message() {
        use RetryCondition::{All, Never, Patterns, Transient};
        let patterns = Patterns(vec!["timeout".to_owned(), "busy".to_owned()]);
        for (condition, kind, message, expected) in [
            (Never, "transient", "", false),
            (All, "other", "", true),
            (Transient, "transient", "", true),
            (Transient, "execution_failed", "transient", false),
            (patterns.clone(), "timeout_of_db", "", true),
            (patterns.clone(), "x", "the disk is busy", true),
            (patterns, "x", "gone", false),
        ] {
            let policy = Policy { condition, ..policy(Backoff::Fixed) };
            assert_eq!(policy.wait(1, &failure(kind, message)).is_some(), expected, "{policy:?} {kind} {message}");
        }
        let final_one = Failure { retryable: false, ..failure("x", "") };
        assert_eq!(policy(Backoff::Fixed).wait(1, &final_one), None);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_a_lower_bound() {
        let asks = |millis| Failure { retry_after: Some(Duration::from_millis(millis)), ..failure("x", "") };
        let policy = policy(Backoff::Fixed);
        assert_eq!(policy.wait(1, &asks(5_000)), Some(Duration::from_secs(5)));
        assert_eq!(policy.wait(1, &asks(1)), Some(Duration::from_millis(100)));
    }

    #[test]
    fn no_number_of_failures_and_no_delay_overflows() {
        let endless =
            Policy { retries: u32::MAX, max_delay: Duration::MAX, delay: Duration::MAX, ..policy(Backoff::Linear) };
        for backoff in [Backoff::Fixed, Backoff::Linear, Backoff::Exponential] {
            for jitter in [false, true] {
                let policy = Policy { backoff, jitter, ..endless.clone() };
                for n_failures in [1, 31, 32, 33, 1_000, u32::MAX] {
                    assert!(policy.wait(n_failures, &Failure { chance: u16::MAX, ..failure("x", "") }).is_some());
                }
            }
        }
    }
}
