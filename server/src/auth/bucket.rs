//! Token buckets, each as one number: how many requests at once, and how many each second after those.
//!
//! The number is the moment at which the bucket is full again (the generic cell rate algorithm). A bucket that is full is the same
//! as no bucket, so those can be forgotten, which bounds the memory by the requests of the last seconds.

use std::{collections::HashMap, time::Duration};

/// Requests each second at most: time is counted in microseconds.
const PER_SECOND_MAX: u64 = 1_000_000;

/// Buckets that are kept before full ones are forgotten for the first time.
const KEPT_MIN: usize = 1_024;

/// How fast a bucket is filled, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Requests at once.
    pub(crate) burst: u64,
    /// The time after which there is one more, in microseconds.
    pub(crate) every_us: u64,
}

/// What is left in a bucket after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Requests that may be made at once.
    pub(crate) requests: u64,
    /// The time until the bucket is full again.
    pub(crate) full_in: Duration,
}

/// A bucket for each name that was active in the last seconds.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    full_at: HashMap<String, u64>,
    /// At so many buckets full ones are forgotten.
    kept_max: usize,
}

impl Rate {
    /// So many requests each second, and twice as many at once.
    pub(crate) fn per_second(n_requests: u64) -> Self {
        let n_requests = n_requests.clamp(1, PER_SECOND_MAX);
        Self { burst: 2 * n_requests, every_us: 1_000_000 / n_requests }
    }

    /// Takes a request out of the bucket that is full again at that moment. Returns when it is full again now, and what is left.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(self, full_at: u64, now_us: u64) -> Result<(u64, Left), Duration> {
        // A bucket lacks no more than it holds, also after the clock was set back.
        let missing = full_at.saturating_sub(now_us).min(self.burst * self.every_us);
        let wait = missing.saturating_sub((self.burst - 1) * self.every_us);
        if wait > 0 {
            return Err(Duration::from_micros(wait));
        }
        let missing = missing + self.every_us;
        let requests = (self.burst * self.every_us).saturating_sub(missing) / self.every_us;
        Ok((now_us + missing, Left { requests, full_in: Duration::from_micros(missing) }))
    }
}

impl Buckets {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, full_at: HashMap::new(), kept_max: KEPT_MIN }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes a request out of the bucket of that name.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&mut self, name: &str, now_us: u64) -> Result<Left, Duration> {
        let full_at = self.full_at.get(name).copied().unwrap_or(0);
        let (full_at, left) = self.rate.take(full_at, now_us)?;
        match self.full_at.get_mut(name) {
            Some(known) => *known = full_at,
            None => {
                self.make_room(now_us);
                self.full_at.insert(name.to_owned(), full_at);
            }
        }
        Ok(left)
    }

    /// Forgets full buckets, so rarely that a request costs little.
    fn make_room(&mut self, now_us: u64) {
        if self.full_at.len() >= self.kept_max {
            self.full_at.retain(|_, full_at| *full_at > now_us);
            self.kept_max = (2 * self.full_at.len()).max(KEPT_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 4, every_us: 500_000 };

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_one_after_the_other() {
        let mut buckets = Buckets::new(RATE);
        let lefts: Vec<u64> = (0..4).map(|_| buckets.take("a", 10_000_000).unwrap().requests).collect();
        assert_eq!(lefts, [3, 2, 1, 0]);
        assert_eq!(buckets.take("a", 10_000_000), Err(Duration::from_millis(500)));
        assert_eq!(buckets.take("a", 10_400_000), Err(Duration::from_millis(100)));
        assert_eq!(buckets.take("b", 10_000_000).unwrap().requests, 3, "another name has a bucket of its own");
        let left = buckets.take("a", 10_500_000).unwrap();
        assert_eq!(left, Left { requests: 0, full_in: Duration::from_secs(2) });
        assert_eq!(buckets.take("a", 60_000_000).unwrap().requests, 3, "no bucket holds more than its burst");
    }

    #[test]
    fn a_clock_that_is_set_back_costs_a_burst_at_most() {
        let mut buckets = Buckets::new(RATE);
        buckets.take("a", 10_000_000_000).unwrap();
        assert_eq!(buckets.take("a", 10_000_000), Err(Duration::from_millis(500)));
        assert!(buckets.take("b", 10_000_000).is_ok());
    }

    #[test]
    fn a_second_has_the_requests_of_the_rate() {
        let rate = Rate::per_second(5);
        let mut buckets = Buckets::new(rate);
        let taken = (0..10_000_000).step_by(1_000).filter(|now| buckets.take("a", 10_000_000 + now).is_ok()).count();
        assert_eq!(taken, 10 + 49, "the burst, and five in each of ten seconds");
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut buckets = Buckets::new(RATE);
        for number in 0..100_000_u64 {
            buckets.take(&number.to_string(), number * 10_000).unwrap();
            assert!(buckets.full_at.len() <= KEPT_MIN, "{number}");
        }
    }
}
