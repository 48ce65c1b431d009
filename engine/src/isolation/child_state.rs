//! The states of one child, a process that runs a package, and the one function that moves a child between them.
//!
//! ```text
//! Starting ─Loaded─► Serving ─Retired─► Draining ─last call─► Stopping ─Reaped─► Ended ─Told─► Gone
//!     └─────────────────┴─ Disconnected ─► Lost ─┴─ Dismissed, Killed ─┘                └ Told before Reaped: Unreaped
//! ```
//! Pure: no process, no lock, no clock. The [roster](super::roster) alone applies it. A first reason stands: what kills a
//! child that was killed already changes nothing, and an end is final.

use super::death::Killed;
use crate::loader::Reaped;

/// Where a child is between its start and its end. Which calls are under way in it is kept beside this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ChildState {
    /// It loads its library, and gets no calls.
    Starting,
    /// It gets calls.
    Serving,
    /// It gets no more calls, and is dismissed after the last that it has.
    Draining,
    /// Its connection has ended, and the reason is not known yet.
    Lost,
    /// It was told to end, or killed, and has not ended.
    Stopping(Stop),
    /// The process has ended; its calls have not been told.
    Ended(Ending),
    /// All was told, and the process has not ended though it was killed.
    Unreaped(Option<Stop>),
    /// It has ended, and all was told.
    Gone,
}

/// What the engine did to end a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It closed the connection, upon which the process ends by itself.
    Dismissed,
    /// It killed the process, which it had dismissed before or since, or not.
    Killed { why: Killed, is_dismissed: bool },
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// What the engine did to end it; nothing if it ended by itself.
    pub(super) stop: Option<Stop>,
    /// What the system said, unless it said nothing.
    pub(super) reaped: Option<Reaped>,
    /// Processes that it had left behind, which were killed.
    pub(super) n_left_behind: usize,
}

/// What happens to a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its library is loaded.
    Loaded,
    /// It is to get no more calls; so many are under way.
    Retired { n_open: usize },
    /// A call has ended in order; so many are under way.
    CallEnded { n_open: usize },
    /// It is no longer needed.
    Dismissed,
    /// It is to be killed.
    Killed(Killed),
    /// Its connection has ended.
    Disconnected,
    /// The system has said how the process ended.
    Reaped { reaped: Option<Reaped>, n_left_behind: usize },
    /// Its calls have been told of its end, or it never got any.
    Told,
}

/// An event that cannot happen in that state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a child that is {state:?}")]
pub(super) struct Illegal {
    state: ChildState,
    event: Event,
}

impl ChildState {
    /// The state after an event.
    pub(super) fn next(&self, event: Event) -> Result<Self, Box<Illegal>> {
        use ChildState::{Draining, Ended, Gone, Lost, Serving, Starting, Stopping, Unreaped};
        let next = match (self, event) {
            (Starting, Event::Loaded) => Serving,
            (Serving | Draining, Event::Retired { n_open: 0 }) | (Draining, Event::CallEnded { n_open: 0 }) => {
                Stopping(Stop::Dismissed)
            }
            (Serving | Draining, Event::Retired { .. }) => Draining,
            (Starting | Serving | Draining | Lost, Event::Dismissed) => Stopping(Stop::Dismissed),
            (Starting | Serving | Draining | Lost, Event::Killed(why)) => {
                Stopping(Stop::Killed { why, is_dismissed: false })
            }
            (Starting | Serving | Draining, Event::Disconnected) => Lost,
            (Stopping(stop), Event::Dismissed) => Stopping(stop.clone().dismissed()),
            (Stopping(stop), Event::Killed(why)) => Stopping(stop.clone().killed(why)),
            (state, Event::Reaped { reaped, n_left_behind }) if !state.has_ended() => match state {
                Unreaped(_) => Gone,
                _ => Ended(Ending { stop: state.stop().cloned(), reaped, n_left_behind }),
            },
            (Ended(_), Event::Told) => Gone,
            (Starting | Serving | Draining | Lost | Stopping(_), Event::Told) => Unreaped(self.stop().cloned()),
            // What comes too late, or says what is known.
            (Serving | Draining | Lost | Stopping(_) | Ended(_), Event::CallEnded { .. })
            | (Lost | Stopping(_) | Ended(_), Event::Loaded | Event::Retired { .. } | Event::Disconnected)
            | (Ended(_) | Unreaped(_) | Gone, Event::Dismissed | Event::Killed(_)) => self.clone(),
            (state, event) => return Err(Box::new(Illegal { state: state.clone(), event })),
        };
        Ok(next)
    }

    /// Whether it gets calls.
    pub(super) fn takes_calls(&self) -> bool {
        matches!(self, Self::Serving)
    }

    /// Whether its library was loaded and its calls have not been told of an end, as far as the state says.
    pub(super) fn is_shown(&self) -> bool {
        !matches!(self, Self::Starting | Self::Unreaped(_) | Self::Gone)
    }

    /// Whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Gone)
    }

    /// What the engine did to end it.
    pub(super) fn stop(&self) -> Option<&Stop> {
        match self {
            Self::Stopping(stop) => Some(stop),
            Self::Ended(Ending { stop, .. }) | Self::Unreaped(stop) => stop.as_ref(),
            Self::Starting | Self::Serving | Self::Draining | Self::Lost | Self::Gone => None,
        }
    }

    /// Whether it ends, or has ended, because its engine is done with it.
    pub(super) fn is_released(&self) -> bool {
        self.is_dismissed() || matches!(self.stop(), Some(Stop::Killed { why: Killed::Dismissed, .. }))
    }

    /// Whether the engine has closed its connection.
    pub(super) fn is_dismissed(&self) -> bool {
        matches!(self.stop(), Some(Stop::Dismissed | Stop::Killed { is_dismissed: true, .. }))
    }

    /// Why the engine ended it. The behavior of a process during its shutdown is not a failure, unless it had to be killed for it.
    pub(super) fn killed(&self) -> Option<Killed> {
        self.stop().map(|stop| match stop {
            Stop::Dismissed => Killed::Dismissed,
            Stop::Killed { why, .. } => why.clone(),
        })
    }
}

impl Stop {
    fn dismissed(self) -> Self {
        match self {
            Self::Dismissed => Self::Dismissed,
            Self::Killed { why, .. } => Self::Killed { why, is_dismissed: true },
        }
    }

    fn killed(self, why: Killed) -> Self {
        match self {
            Self::Dismissed => Self::Killed { why, is_dismissed: true },
            first @ Self::Killed { .. } => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states() -> Vec<(&'static str, ChildState)> {
        let killed = |is_dismissed| Stop::Killed { why: Killed::Overdue, is_dismissed };
        let ending = |stop| Ending { stop, reaped: None, n_left_behind: 0 };
        vec![
            ("starting", ChildState::Starting),
            ("serving", ChildState::Serving),
            ("draining", ChildState::Draining),
            ("lost", ChildState::Lost),
            ("dismissed", ChildState::Stopping(Stop::Dismissed)),
            ("killed", ChildState::Stopping(killed(false))),
            ("both", ChildState::Stopping(killed(true))),
            ("ended", ChildState::Ended(ending(None))),
            ("ended_d", ChildState::Ended(ending(Some(Stop::Dismissed)))),
            ("ended_k", ChildState::Ended(ending(Some(killed(false))))),
            ("ended_b", ChildState::Ended(ending(Some(killed(true))))),
            ("unreaped", ChildState::Unreaped(None)),
            ("unreap_d", ChildState::Unreaped(Some(Stop::Dismissed))),
            ("unreap_k", ChildState::Unreaped(Some(killed(false)))),
            ("unreap_b", ChildState::Unreaped(Some(killed(true)))),
            ("gone", ChildState::Gone),
        ]
    }

    fn events() -> Vec<(&'static str, Event)> {
        vec![
            ("loaded", Event::Loaded),
            ("retired", Event::Retired { n_open: 1 }),
            ("retired, idle", Event::Retired { n_open: 0 }),
            ("call ended", Event::CallEnded { n_open: 1 }),
            ("last call ended", Event::CallEnded { n_open: 0 }),
            ("dismissed", Event::Dismissed),
            ("killed", Event::Killed(Killed::Overdue)),
            ("disconnected", Event::Disconnected),
            ("reaped", Event::Reaped { reaped: None, n_left_behind: 0 }),
            ("told", Event::Told),
        ]
    }

    /// `dismissed`, `killed` and `both` are what stopped it; `_d`, `_k` and `_b` say the same of one that has ended.
    const TABLE: &str = "
                starting  serving   draining  lost      dismissed killed    both      ended     unreaped  gone
loaded          serving   -         -         .         .         .         .         .         -         -
retired         -         draining  .         .         .         .         .         .         -         -
retired, idle   -         dismissed dismissed .         .         .         .         .         -         -
call ended      -         .         .         .         .         .         .         .         -         -
last call ended -         .         dismissed .         .         .         .         .         -         -
dismissed       dismissed dismissed dismissed dismissed .         both      .         .         .         .
killed          killed    killed    killed    killed    both      .         .         .         .         .
disconnected    lost      lost      lost      .         .         .         .         .         -         -
reaped          ended     ended     ended     ended     ended_d   ended_k   ended_b   -         gone      -
told            unreaped  unreaped  unreaped  unreaped  unreap_d  unreap_k  unreap_b  gone      -         -
";

    #[test]
    fn every_event_does_in_every_state_what_the_table_says() {
        let states = states();
        let name = |state: &ChildState| states.iter().find(|(_, known)| known == state).unwrap().0;
        let mut table = format!("\n{:<16}", "");
        table.extend(states[..8].iter().map(|(name, _)| format!("{name:<10}")));
        table.push_str("unreaped  gone\n");
        for (event_name, event) in events() {
            table.push_str(&format!("{event_name:<16}"));
            for (_, state) in states.iter().filter(|(name, _)| !name.contains('_')) {
                let next = state.next(event.clone());
                let next = match &next {
                    Ok(next) if next == state => ".",
                    Ok(next) => name(next),
                    Err(_) => "-",
                };
                table.push_str(&format!("{next:<10}"));
            }
            table.push('\n');
        }
        let table: Vec<&str> = table.lines().map(str::trim_end).collect();
        assert_eq!(
            table.join("\n") + "\n",
            TABLE,
            "a dot changes nothing, a dash cannot happen:\n{}",
            table.join("\n")
        );
    }

    #[test]
    fn the_first_reason_to_kill_stands() {
        let killed = |state: &ChildState, why: Killed| state.next(Event::Killed(why)).unwrap();
        let state = killed(&killed(&ChildState::Serving, Killed::Overdue), Killed::Silent);
        assert_eq!((state.killed(), state.is_released()), (Some(Killed::Overdue), false));
        let state = killed(&ChildState::Serving.next(Event::Dismissed).unwrap(), Killed::Deaf);
        assert_eq!((state.killed(), state.is_released()), (Some(Killed::Deaf), true));
        let state = killed(&ChildState::Starting, Killed::Dismissed);
        assert_eq!((state.is_dismissed(), state.is_released()), (false, true));
    }

    proptest! {
        #[test]
        fn no_order_of_events_brings_back_what_has_ended(order in proptest::collection::vec(0..10usize, 0..40)) {
            let mut state = ChildState::Starting;
            for place in order {
                let (had_ended, took_calls, stop) = (state.has_ended(), state.takes_calls(), state.stop().is_some());
                let Ok(next) = state.next(events()[place].1.clone()) else { continue };
                prop_assert!(!had_ended || next.has_ended());
                prop_assert!(!next.takes_calls() || took_calls || state == ChildState::Starting);
                prop_assert!(!stop || next.stop().is_some() || next == ChildState::Gone);
                state = next;
            }
        }
    }
}
