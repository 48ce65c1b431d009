//! The connections of a socket: how many there may be of each kind, and which one is closed to make room.
//!
//! A request that changes something must get in whatever others do. So a connection on which nothing is being done (its
//! client has not said who it is yet, or has asked for nothing) is closed when its place is needed: of the process that
//! has the most of them, the oldest. Those that wait for runs and those that send archives have bounds of their own, far
//! enough below the bound of all. Nothing here reads or writes a socket.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{error::Error, spool::Spool};

/// Connections at once. Each takes a descriptor, of which a process may have 1,024 on most systems.
const CONNECTIONS_MAX: usize = 256;
/// Of these, those that wait for a run to end. A client beyond it can look at the database instead.
const FOLLOWING_MAX: usize = 160;
/// Connections of one process.
const PEER_MAX: usize = 128;
/// Archives that are being sent at once.
const UPLOADS_MAX: usize = 16;

/// What a connection is used for at the moment, those in front that can be closed at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its client has not said who it is.
    Greeting,
    /// Nothing was asked.
    Idle,
    /// Something is being done.
    Busy,
    /// Its client waits for a run.
    Following,
    /// An archive comes in.
    Uploading,
}

/// All connections.
pub(super) struct Table {
    state: Mutex<State>,
    /// For what is long.
    pub(super) spool: Spool,
}

#[derive(Default)]
struct State {
    /// By number, in the order in which they came.
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

struct Entry {
    /// The process of the client.
    peer: Option<i32>,
    stage: Stage,
    close: Arc<Notify>,
}

/// The place of one connection; free when it is dropped.
pub(super) struct Seat {
    pub(super) table: Arc<Table>,
    number: u64,
    close: Arc<Notify>,
}

impl Table {
    /// What is long is kept in that folder.
    pub(super) fn new(folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), spool: Spool::new(folder) })
    }

    /// A place for a client of that process, at the cost of another connection if need be.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<i32>) -> Result<Seat, Error> {
        let mut state = self.lock();
        let of_peer = state.entries.values().filter(|entry| entry.peer == peer).count();
        let has_room = if of_peer >= PEER_MAX {
            state.close_one(|entry| entry.peer == peer && entry.stage <= Stage::Idle, 1)
        } else {
            state.entries.len() < CONNECTIONS_MAX || state.close_one(|entry| entry.stage <= Stage::Idle, 1)
        };
        if !has_room {
            let (what, max) = match of_peer >= PEER_MAX {
                true => ("connections of one process", PEER_MAX),
                false => ("connections", CONNECTIONS_MAX),
            };
            return Err(Error::Crowded { what: what.to_owned(), max });
        }
        let (number, close) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.entries.insert(number, Entry { peer, stage: Stage::Greeting, close: Arc::clone(&close) });
        Ok(Seat { table: Arc::clone(self), number, close })
    }

    /// Closes a connection on which nothing is being done. False if there is none.
    pub(super) fn make_room(&self) -> bool {
        self.lock().close_one(|entry| entry.stage <= Stage::Idle, 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the oldest of these connections of the process that has the most of them, and at least `least`.
    fn close_one(&mut self, is_meant: impl Fn(&Entry) -> bool, least: usize) -> bool {
        let mut n_of_peer: BTreeMap<Option<i32>, usize> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| is_meant(entry)) {
            *n_of_peer.entry(entry.peer).or_default() += 1;
        }
        let weight = |entry: &Entry| n_of_peer.get(&entry.peer).copied().unwrap_or_default();
        let meant = self.entries.iter().filter(|(_, entry)| is_meant(entry) && weight(entry) >= least);
        let chosen = meant.min_by_key(|(number, entry)| (entry.stage, Reverse(weight(entry)), **number));
        let Some(number) = chosen.map(|(number, _)| *number) else { return false };
        if let Some(entry) = self.entries.remove(&number) {
            entry.close.notify_one();
        }
        true
    }

    fn count(&self, stage: Stage) -> usize {
        self.entries.values().filter(|entry| entry.stage == stage).count()
    }
}

impl Seat {
    /// Says what the connection is used for from now on, unless too many others are used for the same.
    pub(super) fn set(&self, stage: Stage) -> Result<(), Error> {
        let crowded = |what: &str, max| Err(Error::Crowded { what: what.to_owned(), max });
        let mut state = self.table.lock();
        match stage {
            Stage::Following if state.count(stage) >= FOLLOWING_MAX => {
                return crowded("clients that wait for runs", FOLLOWING_MAX);
            }
            // A process with several gives one up for another process.
            Stage::Uploading
                if state.count(stage) >= UPLOADS_MAX && !state.close_one(|entry| entry.stage == stage, 2) =>
            {
                return crowded("archives that are being sent", UPLOADS_MAX);
            }
            Stage::Greeting | Stage::Idle | Stage::Busy | Stage::Following | Stage::Uploading => {}
        }
        if let Some(entry) = state.entries.get_mut(&self.number) {
            entry.stage = stage;
        }
        Ok(())
    }

    /// Waits until the place is needed for another connection.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.table.lock().entries.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_connections(table: &Table) -> usize {
        table.lock().entries.len()
    }

    /// Whether its place was given to another.
    fn is_closed(seat: &Seat) -> bool {
        !seat.table.lock().entries.contains_key(&seat.number)
    }

    #[test]
    fn the_process_with_the_most_connections_makes_room() {
        let table = Table::new(PathBuf::new());
        let lone = table.enter(Some(1)).unwrap();
        let many: Vec<Seat> = (0..PEER_MAX).map(|_| table.enter(Some(2)).unwrap()).collect();
        let others = CONNECTIONS_MAX - 1 - PEER_MAX;
        let others: Vec<Seat> = (0..others).map(|n_th| table.enter(Some(10 + n_th as i32)).unwrap()).collect();
        assert_eq!(n_connections(&table), CONNECTIONS_MAX);
        let newcomer = table.enter(Some(3)).unwrap();
        assert_eq!((is_closed(&lone), is_closed(&many[0]), is_closed(&many[1])), (false, true, false));
        assert!(!others.iter().any(is_closed));
        // One that has too many closes one of its own.
        let refilled = table.enter(Some(2)).unwrap();
        assert!(is_closed(&many[1]));
        let another = table.enter(Some(2)).unwrap();
        assert!(is_closed(&many[2]) && !is_closed(&newcomer));
        assert_eq!(n_connections(&table), CONNECTIONS_MAX);
        drop((refilled, another));
        assert_eq!(n_connections(&table), CONNECTIONS_MAX - 2);
    }

    #[test]
    fn a_connection_on_which_something_is_done_is_not_closed() {
        let table = Table::new(PathBuf::new());
        let seats: Vec<Seat> = (0..CONNECTIONS_MAX as i32).map(|peer| table.enter(Some(peer)).unwrap()).collect();
        let refused = seats.iter().filter(|seat| seat.set(Stage::Following).is_err()).collect::<Vec<_>>();
        assert_eq!(refused.len(), CONNECTIONS_MAX - FOLLOWING_MAX);
        // There is always room for a request.
        let request = table.enter(Some(-1)).unwrap();
        assert!(seats.iter().filter(|seat| is_closed(seat)).count() == 1);
        for seat in refused.into_iter().chain([&request]) {
            seat.set(Stage::Busy).unwrap();
        }
        assert!(matches!(table.enter(Some(-2)), Err(Error::Crowded { .. })));
        request.set(Stage::Idle).unwrap();
        assert!(table.enter(Some(-2)).is_ok() && is_closed(&request));
    }

    #[test]
    fn a_process_that_sends_many_archives_gives_one_up_for_another_process() {
        let table = Table::new(PathBuf::new());
        let greedy: Vec<Seat> = (0..UPLOADS_MAX).map(|_| table.enter(Some(1)).unwrap()).collect();
        greedy.iter().for_each(|seat| seat.set(Stage::Uploading).unwrap());
        let modest: Vec<Seat> = (2..=UPLOADS_MAX as i32).map(|peer| table.enter(Some(peer)).unwrap()).collect();
        modest.iter().for_each(|seat| seat.set(Stage::Uploading).unwrap());
        assert_eq!(greedy.iter().filter(|seat| !is_closed(seat)).count(), 1);
        let late = table.enter(Some(99)).unwrap();
        assert!(matches!(late.set(Stage::Uploading), Err(Error::Crowded { max: UPLOADS_MAX, .. })));
    }
}
