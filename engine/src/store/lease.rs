//! Keeping the lease of this engine, and telling the driver what is learned of owners by that.
//!
//! The writer does it between two groups, once in a period, with one query: that is all that an idle engine sends to
//! a server. On a file there is nothing to keep. Leases run in real time, whatever clock the engine is given.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::QueryResult;

use super::{
    Connection,
    owner::{PERIODS_OF_LEASE, Renewal, owner_renew},
};

/// So many times in a period a renewal is tried that has failed.
const TRIES_OF_PERIOD: u32 = 10;

/// Where signs go. Must not block.
pub(crate) type Signs = Box<dyn FnMut(Sign) + Send>;

/// What is learned of owners while the lease is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Another engine has ended this epoch, which was that of this engine.
    Fenced { epoch: i64 },
    /// Those epochs of others are over; there may be runs to be taken over.
    Orphaned { epochs: Vec<i64> },
    /// Somebody, perhaps this engine, has changed packages or whom tenants trust.
    PackagesChanged,
}

/// The lease of one engine.
pub(super) struct Lease {
    /// The epoch whose lease is kept; 0 while there is none.
    epoch: Arc<AtomicI64>,
    duration: Duration,
    signs: Signs,
    /// When it was last tried, and whether that failed.
    tried: Instant,
    has_failed: bool,
    /// The newest change of packages and trust that was seen.
    newest_change: i64,
}

impl Lease {
    #[expect(clippy::disallowed_methods, reason = "a lease runs in real time, whatever clock the engine is given")]
    pub(super) fn new(epoch: Arc<AtomicI64>, duration: Duration, signs: Signs) -> Self {
        Self { epoch, duration, signs, tried: Instant::now(), has_failed: false, newest_change: 0 }
    }

    /// The time until it should be renewed; none on a file. What failed is tried again long before the next period.
    pub(super) fn due_in(&self, connection: &Connection) -> Option<Duration> {
        let period = self.duration / PERIODS_OF_LEASE;
        let wait = if self.has_failed { period / TRIES_OF_PERIOD } else { period };
        matches!(connection, Connection::Postgres(_)).then(|| wait.saturating_sub(self.tried.elapsed()))
    }

    /// Whether it should be renewed now.
    pub(super) fn is_due(&self, connection: &Connection) -> bool {
        self.due_in(connection).is_some_and(|due| due.is_zero())
    }

    /// Renews it.
    #[expect(clippy::disallowed_methods, reason = "a lease runs in real time, whatever clock the engine is given")]
    pub(super) fn renew(&mut self, connection: &mut Connection) -> QueryResult<()> {
        self.tried = Instant::now();
        let epoch = self.epoch.load(Ordering::Relaxed);
        let Connection::Postgres(connection) = connection else { return Ok(()) };
        if epoch == 0 {
            self.has_failed = false;
            return Ok(());
        }
        let renewed = owner_renew(connection, epoch, self.duration);
        self.has_failed = renewed.is_err();
        let Renewal { is_owner, ended, newest_change } = renewed?;
        if !is_owner {
            // The driver sees to another one. If it has by now, that one is kept.
            self.epoch.compare_exchange(epoch, 0, Ordering::Relaxed, Ordering::Relaxed).ok();
            (self.signs)(Sign::Fenced { epoch });
        }
        if newest_change != self.newest_change {
            self.newest_change = newest_change;
            (self.signs)(Sign::PackagesChanged);
        }
        if !ended.is_empty() {
            (self.signs)(Sign::Orphaned { epochs: ended });
        }
        Ok(())
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lease").field("epoch", &self.epoch).field("duration", &self.duration).finish()
    }
}
