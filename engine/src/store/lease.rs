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
    /// When it was last tried.
    renewed: Instant,
    /// The newest change of packages and trust that was seen.
    newest_change: i64,
}

impl Lease {
    #[expect(clippy::disallowed_methods, reason = "a lease runs in real time, whatever clock the engine is given")]
    pub(super) fn new(epoch: Arc<AtomicI64>, duration: Duration, signs: Signs) -> Self {
        Self { epoch, duration, signs, renewed: Instant::now(), newest_change: 0 }
    }

    /// The time until it should be renewed; none on a file.
    pub(super) fn due_in(&self, connection: &Connection) -> Option<Duration> {
        let period = self.duration / PERIODS_OF_LEASE;
        matches!(connection, Connection::Postgres(_)).then(|| period.saturating_sub(self.renewed.elapsed()))
    }

    /// Renews it if it is time.
    #[expect(clippy::disallowed_methods, reason = "a lease runs in real time, whatever clock the engine is given")]
    pub(super) fn renew_if_due(&mut self, connection: &mut Connection) -> QueryResult<()> {
        if self.due_in(connection).is_none_or(|due| !due.is_zero()) {
            return Ok(());
        }
        self.renewed = Instant::now();
        let epoch = self.epoch.load(Ordering::Relaxed);
        let Connection::Postgres(connection) = connection else { return Ok(()) };
        if epoch == 0 {
            return Ok(());
        }
        let Renewal { is_owner, ended, newest_change } = owner_renew(connection, epoch, self.duration)?;
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
