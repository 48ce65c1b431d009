//! Following a run: its history from the beginning, and then what is added to it, until the run has ended.
//!
//! Everything comes from the history, page by page, as fast as the reader asks for it: a slow reader holds one page, and
//! loses nothing. A signal says that there is more to read of this run, so that nothing polls, and a run that is silent costs
//! its followers nothing.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::sync::watch;

use super::{apart::Apart, handle::alive, run_handle::RunHandle};
use crate::{
    Error,
    runtime::Phase,
    store::{Error as StoreError, RunSignal},
    view::RunEvent,
};

/// Events that are read at once; as much as a follower holds.
const PAGE: i64 = 500;

/// The events of a run from its first to its last; made by [`RunHandle::follow`].
///
/// A stream of the crate `futures`, which can also be read by [`Self::next`]. It ends when the run has ended and all its events
/// were returned. An error is the last item.
pub struct RunFollower {
    read: VecDeque<RunEvent>,
    /// Absent once nothing follows.
    reading: Option<Reading>,
}

type Reading = Pin<Box<dyn Future<Output = (Cursor, Result<Vec<RunEvent>, Error>)> + Send>>;

/// How far a run was read.
struct Cursor {
    handle: RunHandle,
    more: RunSignal,
    /// Where the run's end is told; nowhere if this engine does not drive the run.
    phase: Option<watch::Receiver<Phase>>,
    /// Where the rest is read once the engine has closed its store.
    apart: Apart,
    next: i64,
}

impl RunHandle {
    /// Everything that has happened to the run, in order, and then what happens, until the run has ended. No event is left
    /// out or repeated, however slowly the stream is read.
    ///
    /// ```no_run
    /// # async fn follow(run: cloacina::RunHandle) -> Result<(), cloacina::Error> {
    /// let mut events = run.follow().await?;
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {} {}", event.at, event.kind, event.task.unwrap_or_default());
    /// }
    /// println!("the run is {}", run.wait().await?.state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::ShutDown`]. The stream ends with an error if the engine stops before the run has ended, or does not drive the
    /// run; [`Self::wait`] says which errors there are.
    pub async fn follow(&self) -> Result<RunFollower, Error> {
        self.follow_from(0).await
    }

    /// As [`Self::follow`], from the event of that number on.
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub async fn follow_from(&self, sequence: i64) -> Result<RunFollower, Error> {
        let shared = alive(&self.shared)?;
        // Before the first look at the history, so that nothing is missed in between.
        let (more, apart) = (shared.board.follow(self.id()), shared.apart.clone());
        drop(shared);
        let handle = self.clone().watched().await?;
        let phase = handle.phase().await?;
        let cursor = Cursor { handle, more, phase, apart, next: sequence };
        Ok(RunFollower { read: VecDeque::new(), reading: Some(Box::pin(cursor.page())) })
    }
}

impl RunFollower {
    /// The next event; none when the run has ended and all its events were returned. May be dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<RunEvent, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for RunFollower {
    type Item = Result<RunEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
            let (cursor, page) = ready!(reading.as_mut().poll(context));
            self.reading = None;
            match page {
                Ok(events) if events.is_empty() => return Poll::Ready(None),
                Ok(events) => {
                    self.read = events.into();
                    self.reading = Some(Box::pin(cursor.page()));
                }
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl Cursor {
    /// The next events, once there are any; none when the run has ended.
    async fn page(mut self) -> (Self, Result<Vec<RunEvent>, Error>) {
        let page = self.next_page().await;
        (self, page)
    }

    async fn next_page(&mut self) -> Result<Vec<RunEvent>, Error> {
        loop {
            // Looked at before the events are read, so that none of the last ones is missed.
            let is_over = self.phase.as_ref().is_none_or(is_over);
            self.more.mark_seen();
            let events = match self.handle.events_from(self.next, PAGE).await {
                Err(Error::ShutDown | Error::Store(StoreError::Closed)) if self.has_ended() => self.rest().await?,
                Err(Error::Store(StoreError::Closed)) => return Err(Error::ShutDown),
                events => events?,
            };
            if let Some(last) = events.last() {
                self.next = last.sequence + 1;
                return Ok(events);
            }
            if is_over {
                return self.end().await.map(|()| events);
            }
            self.wait_for_more().await;
        }
    }

    /// Waits until something may have been added to the history, or the run has ended.
    async fn wait_for_more(&mut self) {
        let Some(phase) = &mut self.phase else { return };
        tokio::select! {
            // The sender is gone with its engine, which is an end as well.
            _ = phase.wait_for(|phase| !matches!(phase, Phase::Active)) => {}
            () = self.more.given() => {}
        }
    }

    fn has_ended(&self) -> bool {
        self.phase.as_ref().is_some_and(|phase| matches!(*phase.borrow(), Phase::Ended(_)))
    }

    /// What is left of the history of a run that has ended. The engine may have been there for this run only, and has closed
    /// its store; what is durable can be read without it.
    async fn rest(&self) -> Result<Vec<RunEvent>, Error> {
        let (run, caller, next) = (self.handle.id(), self.handle.caller.clone(), self.next);
        let mut events = self.apart.ask(caller, move |records| records.events(run)).await?;
        events.retain(|event| event.sequence >= next);
        Ok(events)
    }

    /// Whether the run has ended; else why nothing follows.
    async fn end(&self) -> Result<(), Error> {
        let id = self.handle.id();
        match self.phase.as_ref().map(|phase| phase.borrow().clone()) {
            Some(Phase::Ended(_)) => Ok(()),
            Some(Phase::Lost(source)) => Err(Error::RunLost { id, source }),
            Some(Phase::Fenced) => Err(Error::Fenced { id }),
            Some(Phase::Active) => Err(Error::ShutDown),
            // It has ended before it was followed, or this engine does not drive it.
            None => self.handle.wait().await.map(drop),
        }
    }
}

fn is_over(phase: &watch::Receiver<Phase>) -> bool {
    !matches!(*phase.borrow(), Phase::Active) || phase.has_changed().is_err()
}

impl fmt::Debug for RunFollower {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n_read, has_ended) = (self.read.len(), self.reading.is_none());
        formatter.debug_struct("RunFollower").field("n_read", &n_read).field("has_ended", &has_ended).finish()
    }
}
