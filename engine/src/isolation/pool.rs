//! The package hosts of one library: started when they are needed, given calls, replaced, and ended when they are idle.
//!
//! ```text
//! start ──► waiting ──► fed children ──► the call ends
//!              ▲            │ overdue call, many calls, much memory: fed no more
//!              └── lost ◄── leaving children ──► killed when their time is over
//! ```
//! Nothing here waits for a package: a call that finds no process is kept until one is ready, and hears then if there is
//! none. After a crash with several calls under way each process gets one call at a time, until it is clear which one
//! it was. A package that crashes on and on is reported, and what becomes of that is not decided here; ends of one cause
//! count once.

use std::{
    collections::VecDeque,
    fmt, io,
    path::Path,
    sync::{
        Arc, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{TaskError, descriptor::Descriptor};
use serde_json::{json, value::to_raw_value};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Confinement, Error, Limits, Sandbox, bounds,
    calls::OpenCall,
    child::{Child, ChildOrigin},
    child_state::{ChildState, Event, Stop},
    death::{Death, Killed},
    group::Groups,
    incident::{Cause, Generation, ProcessEnd},
    keeper::{self, Alarm, Keeper},
    needs::{self, AllowedNeed},
    process::Place,
    program::HostProgram,
    roster::{Books, Entry, NotTaken, Roster, Waiting},
    sandbox::Grants,
    scratch::{Folder, Scratch},
    setup::Setup,
    shortage::Shortage,
    start::{self, Started},
    tally::{Owner, Tally},
};
use crate::loader::{self, Call, CallId, CallResult, CallSink, LazyLibrary};

/// What all package hosts of an engine have in common.
#[derive(Clone, Debug)]
pub(crate) struct HostOptions {
    pub(crate) program: HostProgram,
    pub(crate) sandbox: Sandbox,
    /// Whether a package is refused that cannot be kept in as it should be.
    pub(crate) requires_sandbox: bool,
    /// Where packages in the sandbox of a server may write.
    pub(crate) scratch: Arc<Scratch>,
    /// Where the kernel limits them.
    pub(crate) groups: Arc<Groups>,
    pub(crate) limits: Limits,
    /// What packages may have of what they need, in the sandbox of a server.
    pub(crate) allowed: Arc<[AllowedNeed]>,
    /// How long a call that was asked to stop may go on.
    pub(crate) stop_grace: Duration,
    pub(crate) keeper: Arc<Keeper>,
    /// The receiver of packages that crash repeatedly.
    pub(crate) crash_loops: UnboundedSender<CrashLoop>,
    /// What packages have in common and may use up.
    pub(crate) shortage: Arc<Shortage>,
    /// Where what processes use up is counted.
    pub(crate) tally: Arc<Tally>,
    /// The owner of the processes; without one, their usage is not counted.
    pub(crate) owner: Option<Owner>,
}

/// A package that crashes whenever it is used.
#[derive(Clone, Debug)]
pub(crate) struct CrashLoop {
    /// The digest of the library's file.
    pub(crate) library: Digest,
    /// How it ended last.
    pub(crate) reason: String,
    /// How often in a row, counted from the first time that is too often.
    pub(crate) n_times: u32,
}

/// A running package host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackageHost {
    /// The number of its process.
    pub(crate) pid: u32,
    /// Calls under way in it.
    pub(crate) n_open_calls: usize,
    /// Calls that it was given so far.
    pub(crate) n_calls: u64,
    /// Whether it gets no more calls, and ends when those that it has are done.
    pub(crate) is_leaving: bool,
    /// The memory that it holds now, if the system tells.
    pub(crate) resident_bytes: Option<u64>,
    /// The processor time that it has used up so far, if the system tells.
    pub(crate) cpu: Option<Duration>,
    /// What keeps the package in.
    pub(crate) confinement: Confinement,
}

/// How long a package may take to shut down when its process is to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
/// How long the calls of a process may take that is to be replaced. Their time may be over at any moment anyway.
const LEAVING_GRACE: Duration = Duration::from_secs(30);
/// Calls under way in each process from which on another is worth its memory.
const GROW_AT: usize = 16;
/// Processes that get one call each; a package that crashes beside others is not worth more.
const SOLO_MAX: usize = 16;
/// Calls that must end in order before processes get several at once again.
const SOLO_CALLS: u32 = 32;
/// A process without calls for so long, and at most twice that, ends.
const IDLE: Duration = Duration::from_secs(60);
/// Calls of a process after which its memory is measured.
const LOOK_AT_MEMORY: u64 = 256;
/// Incidents without a call that ended in order between them, from which on a package is reported.
const INCIDENTS_MAX: u32 = 3;

/// After so long a process is tried again that others have left no room for, and so often.
const STRAINED_WAIT: Duration = Duration::from_millis(250);
const STRAINED_MAX: u32 = 40;

/// The processes of one library.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    options: HostOptions,
    /// The file and what is known of it; never loaded into this process.
    library: LazyLibrary,
    package: Arc<str>,
    /// As many as there are cores.
    children_max: usize,
    /// Whether it was said that the sandbox is not complete.
    is_weak: AtomicBool,
    roster: Arc<Roster>,
}

impl Pool {
    /// The library's configuration says that it has a process of its own.
    pub(crate) fn new(library: LazyLibrary, options: HostOptions) -> Self {
        let shared = Shared {
            options,
            package: Arc::from(library.descriptor().package.as_str()),
            library,
            children_max: thread::available_parallelism().map_or(1, Into::into),
            is_weak: AtomicBool::new(false),
            roster: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn path(&self) -> &Path {
        self.shared.library.path()
    }

    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        self.shared.library.descriptor()
    }

    /// The file and what is known of it.
    pub(crate) fn library(&self) -> &LazyLibrary {
        &self.shared.library
    }

    /// As [`LazyLibrary::check_descriptor`]; also checks whether the needs of the package are allowed.
    pub(crate) fn check_descriptor(&self) -> Result<(), Error> {
        self.shared.library.check_descriptor()?;
        self.shared.allow_needs()
    }

    /// Why no process can be had for as long as the engine lives, if that has shown.
    pub(crate) fn refusal(&self) -> Option<Error> {
        self.shared.lock().refusal.as_ref()?.lasting()
    }

    /// The processes that run now.
    pub(crate) fn hosts(&self) -> Vec<PackageHost> {
        let children: Vec<(Arc<Child>, PackageHost)> = {
            let state = self.shared.lock();
            let host = |entry: &Entry| PackageHost {
                pid: entry.child.process.pid,
                n_open_calls: entry.calls.n_open(),
                n_calls: entry.calls.n_started(),
                is_leaving: entry.is_leaving(),
                resident_bytes: None,
                cpu: None,
                confinement: entry.confinement(),
            };
            state.shown().map(|entry| (Arc::clone(&entry.child), host(entry))).collect()
        };
        // The system is asked without the lock.
        let measured = |(child, host): (Arc<Child>, PackageHost)| PackageHost {
            resident_bytes: child.process.resident_bytes(),
            cpu: child.process.cpu(),
            ..host
        };
        children.into_iter().map(measured).collect()
    }

    /// How tightly they are to be kept in.
    pub(crate) fn sandbox(&self) -> Sandbox {
        self.shared.options.sandbox
    }

    /// Whether any process runs now.
    pub(crate) fn is_loaded(&self) -> bool {
        self.shared.lock().shown().next().is_some()
    }

    /// Calls under way in all processes.
    pub(crate) fn n_open_calls(&self) -> usize {
        self.shared.lock().shown().map(|entry| entry.calls.n_open()).sum()
    }

    /// Starts a process if there is none. Blocks while it loads the library.
    pub(crate) fn load(&self) -> Result<(), Error> {
        {
            let mut state = self.shared.lock();
            if state.is_closed {
                return Err(Error::Closed);
            }
            if state.serving().next().is_some() {
                return Ok(());
            }
            state.n_starting += 1;
        }
        let (started, _) = self.shared.start_child();
        self.shared.lock().n_starting -= 1;
        self.shared.dispatch();
        started
    }

    /// Begins a call as soon as there is a process for it. Never waits.
    pub(crate) fn start(&self, call: Call, sink: Arc<dyn CallSink>) -> Result<CallId, Arc<dyn CallSink>> {
        let id = CallId::next();
        {
            let mut state = self.shared.lock();
            if state.is_closed {
                return Err(sink);
            }
            state.waiting.push_back(Waiting { id, call, sink });
        }
        self.shared.dispatch();
        Ok(id)
    }

    /// Ends all processes; later calls are refused. They end by themselves, in about `grace`, or are killed.
    pub(crate) fn close(&self, grace: Duration) {
        let (children, forgotten) = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            let children: Vec<Arc<Child>> = state.shown().map(|entry| Arc::clone(&entry.child)).collect();
            (children, (std::mem::take(&mut state.waiting), state.idle.take(), state.forget_calls()))
        };
        drop(forgotten);
        for child in &children {
            child.release();
        }
        for child in &children {
            child.end(grace);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}

impl Shared {
    /// Gives waiting calls to processes, and starts processes as they are needed.
    fn dispatch(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let Some(child) = self.choose(&mut state) else { return };
            let Some(Waiting { id, call, sink }) = state.waiting.pop_front() else { return };
            let open_max = if state.solo > 0 { 1 } else { usize::MAX };
            state.is_used = true;
            drop(state);
            match child.start(&self.options.keeper, id, &call, sink, open_max) {
                Ok(()) => {}
                // Another call was faster, or the process has just ended, and gets no more calls.
                Err(NotTaken::Full(sink) | NotTaken::Over(sink)) => {
                    self.lock().waiting.push_front(Waiting { id, call, sink });
                }
            }
        }
    }

    /// The process for the next waiting call, if there is one; has another started if that helps.
    fn choose(self: &Arc<Self>, state: &mut Books) -> Option<Arc<Child>> {
        if state.waiting.is_empty() || state.is_closed {
            return None;
        }
        let least = state.serving().min_by_key(|entry| entry.calls.n_open());
        let n_open = least.map_or(usize::MAX, |entry| entry.calls.n_open());
        let least = least.map(|entry| Arc::clone(&entry.child));
        let n_children = state.serving().count() + state.n_starting;
        let is_solo = state.solo > 0;
        let (is_wanted, children_max) = match is_solo {
            true => (n_open > 0, self.children_max.max(SOLO_MAX)),
            false => (n_open >= GROW_AT, self.children_max),
        };
        // One that is being started takes what waits.
        let is_wanted = is_wanted && (is_solo || state.n_starting == 0);
        if is_wanted && n_children < children_max && state.n_starting < state.waiting.len() {
            self.start_another(state);
        }
        least.filter(|_| !is_solo || n_open == 0)
    }

    /// Starts a process on a thread of its own.
    fn start_another(self: &Arc<Self>, state: &mut Books) {
        state.n_starting += 1;
        let shared = Arc::clone(self);
        let starter = thread::Builder::new().name("clcn-start".to_owned()).spawn(move || {
            let (started, generation) = shared.start_child();
            let mut failed = {
                let mut state = shared.lock();
                state.n_starting -= 1;
                match &started {
                    Err(_) if state.serving().next().is_none() && state.n_starting == 0 => {
                        std::mem::take(&mut state.waiting)
                    }
                    Ok(()) | Err(_) => VecDeque::new(),
                }
            };
            if let Err(error) = started {
                tracing::warn!(package = &*shared.package, code = error.code(), "{error}");
                if shared.is_strained(&error) {
                    match shared.wait_for_others(failed) {
                        None => return,
                        Some(calls) => failed = calls,
                    }
                } else if let Error::Crashed { is_outside, .. } = &error {
                    let cause = if *is_outside { Cause::Outside } else { Cause::Package };
                    shared.count_crash(ProcessEnd { generation, cause, n_open: 0 }, &error);
                }
                for Waiting { id, sink, .. } in failed {
                    sink.complete(
                        id,
                        match error.is_withheld() {
                            true => CallResult::Withheld(missing(&error)),
                            false => CallResult::Failed { error: missing(&error), retry_after: None },
                        },
                    );
                }
            }
            shared.dispatch();
        });
        if let Err(error) = starter {
            state.n_starting -= 1;
            tracing::error!(package = &*self.package, %error, "cannot start a thread; calls wait for the next one");
        }
    }

    /// Asks a call to stop, wherever it is, and sees to it that it does.
    pub(crate) fn cancel(self: &Arc<Self>, id: CallId) {
        let (waiting, children) = {
            let mut state = self.lock();
            let place = state.waiting.iter().position(|waiting| waiting.id == id);
            let waiting = place.and_then(|place| state.waiting.remove(place));
            (waiting, state.shown().map(|entry| Arc::clone(&entry.child)).collect::<Vec<_>>())
        };
        if let Some(Waiting { sink, .. }) = waiting {
            let message = "the attempt was cancelled before it began".to_owned();
            sink.complete(id, CallResult::Cancelled(TaskError::Cancelled { message }));
            return;
        }
        let Some(child) = children.into_iter().find(|child| child.cancel(id)) else { return };
        // A little before the attempt is given up, so that it ends with the truth.
        let wait = self.options.stop_grace.mul_f64(0.9);
        let (shared, overdue) = (Arc::downgrade(self), Arc::downgrade(&child));
        let alarm = self.options.keeper.after(wait, move || {
            if let (Some(shared), Some(child)) = (shared.upgrade(), overdue.upgrade()) {
                shared.overdue(&child, id);
            }
        });
        self.roster.keep_alarm(child.id, id, alarm);
    }

    /// A call did not stop: its process gets no more calls, and ends as soon as the others have.
    fn overdue(self: &Arc<Self>, child: &Arc<Child>, id: CallId) {
        match self.roster.set_overdue(child.id, id) {
            None => {}
            Some(0) => child.kill(Killed::Overdue),
            Some(n_others) => {
                tracing::warn!(
                    package = &*self.package,
                    pid = child.process.pid,
                    n_others,
                    "a task did not stop when asked to"
                );
                self.leave(child, Some(Killed::Overdue));
            }
        }
    }

    /// Gives a process no more calls, and has it killed if those that it has take too long and there is a reason for that.
    fn leave(self: &Arc<Self>, child: &Arc<Child>, why: Option<Killed>) {
        let Some(state) = self.lock().retire(child.id) else { return };
        if let Some(why) = why {
            child.keep_last_alarm(self.options.keeper.kill_after(LEAVING_GRACE, child, why));
        }
        self.end_if_left(child, &state);
        self.dispatch();
    }

    /// Ends a process that gets no more calls once it has no more.
    fn end_if_left(&self, child: &Arc<Child>, state: &ChildState) {
        if *state == ChildState::Stopping(Stop::Dismissed) {
            child.dismiss(&self.options.keeper, SHUTDOWN_GRACE);
        }
    }

    /// Starts a process, and says to which generation it belongs.
    fn start_child(self: &Arc<Self>) -> (Result<(), Error>, Generation) {
        let generation = self.lock().incidents.generation();
        let started = self.try_start_child(generation);
        let mut state = self.lock();
        let is_refused = state.shown().next().is_none();
        state.refusal = started.as_ref().err().filter(|_| is_refused).and_then(Error::lasting);
        if started.is_ok() {
            state.n_shortages = 0;
        }
        drop(state);
        (started, generation)
    }

    fn try_start_child(self: &Arc<Self>, generation: Generation) -> Result<(), Error> {
        let Self { options, library, package, .. } = &**self;
        let file = library.make_ready()?;
        let config = library.config();
        let descriptor = to_raw_value(&**library.descriptor())
            .map_err(|error| loader::Error::Metadata { reason: error.to_string() })?;
        let (grants, scratch) = self.grants()?;
        let setup = Setup {
            library: std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_owned()),
            digest: file.digest().hex(),
            descriptor,
            workers: config.workers.max(1),
            max_log_level: config.max_log_level.number(),
            sandbox: options.sandbox,
            requires_sandbox: options.requires_sandbox,
            grants,
            limits: options.limits,
            grace_ms: u64::try_from(SHUTDOWN_GRACE.as_millis()).unwrap_or(u64::MAX),
        };
        let account = options.owner.clone().map(|owner| options.tally.account(owner));
        let (pool, roster) = (Arc::downgrade(self), Arc::clone(&self.roster));
        let group = options.groups.group(options.limits.memory_mib, bounds::threads_max(&options.limits));
        let origin = ChildOrigin { pool, roster, package: Arc::clone(package), generation, account };
        let place = Place { scratch, group };
        let Started { mut inbox, mut frames } = start::start(&options.program, &setup, origin, place, &options.keeper)?;
        let child = Arc::clone(inbox.child());
        let confinement = child.confinement();
        tracing::debug!(package = &**package, pid = child.process.pid, %confinement, "a package host runs");
        if !confinement.missing.is_empty() && !self.is_weak.swap(true, Ordering::Relaxed) {
            tracing::warn!(package = &**package, %confinement, "the sandbox of a package is not complete");
        }
        let is_closed = {
            let mut state = self.lock();
            if state.idle.is_none() && !state.is_closed {
                state.idle = Some(self.idle_alarm());
            }
            state.is_closed
        };
        let reader = thread::Builder::new().name("clcn-host".to_owned()).spawn(move || inbox.read(&mut frames));
        if is_closed || reader.is_err() {
            child.kill(Killed::Dismissed);
        }
        match reader {
            Ok(_) if is_closed => Err(Error::Closed),
            Ok(_) => Ok(()),
            Err(source) => {
                // It may have got calls by now.
                child.over();
                Err(Error::Start { program: options.program.program().clone(), source })
            }
        }
    }

    /// Whether there is no process because others have used up what it takes.
    fn is_strained(&self, error: &Error) -> bool {
        match error {
            Error::Start { source, .. } => source.kind() == io::ErrorKind::WouldBlock,
            Error::Crashed { .. } => self.options.shortage.is_anothers(self.library.digest()),
            _ => false,
        }
    }

    /// Keeps calls that found no process because of others, and tries again soon. Gives them back if that goes on for long.
    fn wait_for_others(self: &Arc<Self>, calls: VecDeque<Waiting>) -> Option<VecDeque<Waiting>> {
        let mut state = self.lock();
        state.n_shortages += 1;
        if state.n_shortages > STRAINED_MAX || state.is_closed {
            state.n_shortages = 0;
            return Some(calls);
        }
        calls.into_iter().rev().for_each(|call| state.waiting.push_front(call));
        let shared = Arc::downgrade(self);
        let alarm = self.options.keeper.after(STRAINED_WAIT, move || {
            if let Some(shared) = shared.upgrade() {
                shared.dispatch();
            }
        });
        let before = state.shortage_alarm.replace(alarm);
        drop(state);
        drop(before);
        None
    }

    /// Reports the package if it crashes on and on. What began with another process is not counted again.
    fn count_crash(&self, end: ProcessEnd, reason: &dyn fmt::Display) {
        let n_incidents = self.lock().incidents.note(end, keeper::now());
        let n_beyond = n_incidents.and_then(|n_incidents| n_incidents.checked_sub(INCIDENTS_MAX - 1));
        if let Some(n_times) = n_beyond.filter(|n_times| *n_times > 0) {
            let harm = CrashLoop { library: self.library.digest(), reason: reason.to_string(), n_times };
            // An engine that is being shut down no longer uses a package.
            self.options.crash_loops.send(harm).ok();
        }
    }

    /// What the package may do because it says that it needs to, in the sandbox of a server.
    fn grants(&self) -> Result<(Grants, Option<Folder>), Error> {
        if self.options.sandbox != Sandbox::Server {
            return Ok((Grants::default(), None));
        }
        self.allow_needs()?;
        let folder = self.options.scratch.folder().map_err(|source| Error::Scratch { source })?;
        let grants = Grants::of(self.library.descriptor(), self.library.path(), folder.path());
        Ok((grants, Some(folder)))
    }

    /// Refuses a package that needs, in the sandbox of a server, what it is not allowed.
    fn allow_needs(&self) -> Result<(), Error> {
        if self.options.sandbox != Sandbox::Server {
            return Ok(());
        }
        let needs = needs::lacking(self.library.descriptor(), &self.options.allowed);
        if needs.is_empty() { Ok(()) } else { Err(Error::NotAllowed { package: self.package.to_string(), needs }) }
    }

    fn idle_alarm(self: &Arc<Self>) -> Alarm {
        let shared = Arc::downgrade(self);
        self.options.keeper.after(IDLE, move || {
            if let Some(shared) = shared.upgrade() {
                shared.stop_if_idle();
            }
        })
    }

    /// Lets the processes go if none has been used since this was asked last.
    fn stop_if_idle(self: &Arc<Self>) {
        let idle = {
            let mut state = self.lock();
            let is_busy = !state.waiting.is_empty() || state.serving().any(|entry| entry.calls.n_open() > 0);
            if std::mem::take(&mut state.is_used) || is_busy {
                state.idle = Some(self.idle_alarm());
                return;
            }
            state.idle = None;
            state.serving().map(|entry| Arc::clone(&entry.child)).collect::<Vec<_>>()
        };
        for child in idle {
            self.leave(&child, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.roster.lock()
    }

    /// A child has ended; these calls were under way, in the order in which they began.
    pub(super) fn child_over(
        self: &Arc<Self>,
        child: &Child,
        death: &Death,
        generation: Generation,
        open: Vec<OpenCall>,
    ) {
        let is_crash = death.is_crash();
        {
            let mut state = self.lock();
            if state.is_closed {
                return;
            }
            if is_crash && open.len() > 1 {
                state.solo = SOLO_CALLS;
            }
        }
        let n_open = open.len();
        let library = self.library.digest();
        if death.is_greed() {
            self.options.shortage.note(library);
        }
        let is_strained = is_crash && death.killed.is_none() && self.options.shortage.is_anothers(library);
        if is_crash && !is_strained {
            self.count_crash(ProcessEnd { generation, cause: death.cause(), n_open }, death);
        }
        if is_crash {
            let cpu_ms = death.reaped.map(|reaped| reaped.cpu.as_millis() as u64);
            tracing::warn!(package = &*self.package, pid = child.process.pid, n_open, cpu_ms, "{death}");
        }
        for OpenCall { id, sink, is_overdue, .. } in open {
            let is_alone = is_crash && n_open == 1 && !is_strained;
            let is_to_blame = is_overdue || (is_alone && death.killed != Some(Killed::Overdue));
            let result = match is_to_blame {
                true => CallResult::Failed { error: death.clone().into_error(), retry_after: None },
                false => CallResult::Lost { reason: death.to_string() },
            };
            sink.complete(id, result);
        }
        self.dispatch();
    }

    /// A call has ended in order, and so many are left in its process.
    pub(super) fn call_ended(self: &Arc<Self>, child: &Arc<Child>, n_open: usize) {
        let (has_waiting, state) = {
            let mut state = self.lock();
            state.solo = state.solo.saturating_sub(1);
            state.incidents.forgive();
            (!state.waiting.is_empty(), state.tell(child.id, Event::CallEnded { n_open }))
        };
        match state {
            Some(ChildState::Serving) if self.is_worn(child) => {
                tracing::debug!(package = &*self.package, pid = child.process.pid, "a package host is replaced");
                self.leave(child, None);
            }
            Some(ChildState::Draining) if self.roster.n_overdue(child.id) == n_open => child.kill(Killed::Overdue),
            Some(state) => self.end_if_left(child, &state),
            None => {}
        }
        if has_waiting {
            self.dispatch();
        }
    }

    /// Whether a process has run so many calls, or holds so much memory, that a new one is better.
    fn is_worn(&self, child: &Child) -> bool {
        let Limits { replace_calls, replace_mib, .. } = self.options.limits;
        let n_started = child.n_started();
        let holds_much =
            || replace_mib.is_some_and(|max| child.process.resident_bytes().is_some_and(|bytes| bytes >> 20 >= max));
        replace_calls.is_some_and(|max| n_started >= max) || (n_started.is_multiple_of(LOOK_AT_MEMORY) && holds_much())
    }
}

/// The failure of a call for which there is no process.
fn missing(error: &Error) -> TaskError {
    let code = error.code();
    TaskError::Custom {
        kind: "package_missing".to_owned(),
        message: format!("{code}: {}", loader::with_causes(error)),
        details: json!({ "code": code }),
        retryable: true,
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        formatter
            .debug_struct("Pool")
            .field("package", &self.package)
            .field("n_children", &state.shown().count())
            .finish_non_exhaustive()
    }
}
