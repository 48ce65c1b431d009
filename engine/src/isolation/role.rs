//! The role of a package host: a process that loads one library and runs calls of it for an engine.
//!
//! ```text
//!            stdin = one end of a socket pair
//! engine ──► Setup ─────────► close every other descriptor, limits, sandbox, load the library ──► Ready | NotReady
//!        ──► Start, Cancel, Answer ──► the main thread ──► Library ──► package
//!        ◄── Complete, Log, Heartbeat, Secret, Fetch ◄── any thread of the package, through the outbox
//! ```
//! The sandbox is up before the library is mapped, because its constructors run then. When the connection ends the
//! package may shut down for a while, and the process ends, also if code of the package has the main thread. A call
//! that names a secret continues when the engine has answered, because output takes another way; so does a call that fetches a value. Nothing here knows of runs or of the store.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::ExitCode,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{
    Level,
    abi::{FETCH_ABSENT, FETCH_FOUND, OUTPUT_DELTA, STATUS_FAILED},
    descriptor::Descriptor,
};
use rustix::{io::fcntl_dupfd_cloexec, stdio::dup2_stdin};

use super::{
    blocking_threads::BlockingThreads,
    forward,
    frame::{Frame, Kind},
    identity::EXIT_CUT_OFF,
    outbox::{Outbox, Posted},
    sandbox, session,
    setup::{NotReady, Ready, Setup},
    stream::{Broken, FrameReader},
};
use crate::loader::{
    self, Answer, AnswerText, Bad, Call, CallId, CallResult, CallSink, InitConfig, Library, LogLine, Question, Refused,
    Sent, TrustedFile, Unanswered, text,
};

/// How long the process may go on beyond its grace once the connection has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// So many secrets may one call name.
pub(super) const SECRETS_MAX: usize = 256;
/// The longest name of a task that crosses.
const NAME_MAX: usize = 4096;
/// How long a task waits for the engine to take a secret. An engine that takes longer has stopped altogether.
const SECRET_WAIT: Duration = Duration::from_secs(10);

/// The connection ended in order.
const EXIT_OK: u8 = 0;
/// The library was not loaded.
const EXIT_NOT_READY: u8 = 3;
/// There is no engine at the other end.
const EXIT_NO_ENGINE: u8 = 4;

/// Serves the engine that started this process with a socket as its standard input, until that goes away. Programs
/// that embed an engine call this, and nothing else, in the role that they name to [`crate::HostProgram`].
#[must_use]
pub fn package_host() -> ExitCode {
    ExitCode::from(match connect() {
        Ok(socket) => serve(socket),
        Err(_) => EXIT_NO_ENGINE,
    })
}

/// Takes the socket from where it was passed, and closes all other inherited descriptors.
fn connect() -> io::Result<UnixStream> {
    // What a terminal sends to the engine's session is the engine's to handle, and what the package starts is found.
    session::lead()?;
    let socket: OwnedFd = fcntl_dupfd_cloexec(io::stdin().as_fd(), 3)?;
    dup2_stdin(File::open("/dev/null")?)?;
    // An old system without the call leaves open what the engine's program had opened carelessly; Rust does not.
    loader::close_others(socket.as_fd()).ok();
    Ok(UnixStream::from(socket))
}

fn serve(socket: UnixStream) -> u8 {
    let Ok(own) = socket.try_clone() else { return EXIT_NO_ENGINE };
    let outbox = Outbox::of_host(own);
    outbox.post(&Frame::new(Kind::Hello, 0));
    forward::install(&outbox);
    let mut frames = FrameReader::of_host(socket);
    let setup = match frames.next() {
        Ok(Frame { kind: Kind::Setup, parts, .. }) => serde_json::from_slice::<Setup>(parts[0]),
        Ok(_) | Err(_) => return EXIT_NO_ENGINE,
    };
    let Ok(setup) = setup else { return EXIT_NO_ENGINE };
    let confinement = sandbox::enter(setup.sandbox, &setup.limits, &setup.grants);
    if setup.requires_sandbox && !confinement.missing.is_empty() {
        answer(&outbox, Kind::NotReady, &NotReady::unconfined(&confinement));
        return EXIT_NOT_READY;
    }
    let grace = Duration::from_millis(setup.grace_ms);
    if frames.guard(grace + LAST_WORDS).is_err() {
        return EXIT_NO_ENGINE;
    }
    match load(&setup) {
        Ok((library, blocking)) => {
            answer(&outbox, Kind::Ready, &Ready { confinement });
            let host = Arc::new(Host::new(outbox, frames));
            let ended = run(&library, &blocking, &host);
            host.hang_up();
            library.close(grace);
            // The engine sees to it too, unless it was killed.
            session::end(std::process::id());
            match ended {
                Broken::Closed => EXIT_OK,
                Broken::Io(_) => EXIT_CUT_OFF,
                Broken::Bad(_) | Broken::Violation { .. } => EXIT_NO_ENGINE,
            }
        }
        Err(error) => {
            answer(&outbox, Kind::NotReady, &NotReady::new(&error));
            EXIT_NOT_READY
        }
    }
}

fn answer(outbox: &Arc<Outbox>, kind: Kind, answer: &impl serde::Serialize) {
    // Text alone always is JSON; without an answer the engine sees that the process has ended.
    let json = serde_json::to_vec(answer).unwrap_or_default();
    outbox.post(&Frame { parts: [&json, &[], &[]], ..Frame::new(kind, 0) });
}

/// Loads the library, and says which of its functions may block.
fn load(setup: &Setup) -> Result<(Arc<Library>, HashSet<u32>), loader::Error> {
    let unreadable = |reason: String| loader::Error::Metadata { reason };
    let digest = Digest::from_hex(&setup.digest).map_err(|error| unreadable(error.to_string()))?;
    let descriptor = Descriptor::parse(setup.descriptor.get()).map_err(|error| unreadable(error.to_string()))?;
    let config = InitConfig {
        workers: setup.workers,
        max_log_level: Level::from_number(setup.max_log_level),
        has_own_process: true,
    };
    let file = TrustedFile::told_by_engine(setup.library.clone(), digest);
    let library = loader::open(&file, &descriptor, config)?;
    let tasks = descriptor.workflows.iter().flat_map(|workflow| &workflow.tasks);
    let callbacks = descriptor.workflows.iter().flat_map(|workflow| &workflow.callbacks);
    let blocking = tasks.filter(|task| task.blocking).map(|task| task.index);
    let blocking = blocking.chain(callbacks.filter(|callback| callback.blocking).map(|callback| callback.index));
    Ok((library, blocking.collect()))
}

/// Does what the engine asks until the connection ends.
fn run(library: &Arc<Library>, blocking: &HashSet<u32>, host: &Arc<Host>) -> Broken {
    let blocking_threads = BlockingThreads::new();
    loop {
        let asked = host.inbox().next();
        match asked {
            Ok(Asked::Start(number, call)) => {
                host.lock().insert(number, None);
                let (library, host) = (Arc::clone(library), Arc::clone(host));
                if blocking.contains(&call.function) {
                    blocking_threads.run(move || begin(&library, &host, number, call));
                } else {
                    begin(&library, &host, number, call);
                }
            }
            Ok(Asked::Cancel(number)) => {
                let known = host.lock().get(&number).copied();
                match known {
                    Some(Some(id)) => library.cancel(id),
                    // It has not begun yet, and will be cancelled when it does; or it has ended.
                    Some(None) => host.cancel_early(number),
                    None => {}
                }
            }
            Ok(Asked::Answered(question, reply)) => host.note_answer(question, reply),
            Ok(Asked::Nothing) => {}
            Err(broken) => return broken,
        }
    }
}

/// What the engine asks for, or answers.
enum Asked {
    Start(u64, Call),
    Cancel(u64),
    /// The answer to a question of this process, by its number.
    Answered(u64, Reply),
    Nothing,
}

/// What the engine answers.
#[derive(Debug, Default)]
struct Reply {
    status: i32,
    value: Vec<u8>,
    writer: String,
}

/// What comes from the engine. The main thread alone reads it.
struct Inbox {
    frames: FrameReader,
    /// What came while code of the package had the main thread and waited for an answer.
    later: VecDeque<Asked>,
}

impl Inbox {
    /// The next thing in order. Blocks until it is there.
    fn next(&mut self) -> Result<Asked, Broken> {
        match self.later.pop_front() {
            Some(asked) => Ok(asked),
            None => self.read(),
        }
    }

    fn read(&mut self) -> Result<Asked, Broken> {
        let frame = self.frames.next()?;
        Ok(match frame.kind {
            Kind::Start => Asked::Start(frame.call, call(&frame)),
            Kind::Cancel => Asked::Cancel(frame.call),
            Kind::SecretTaken => Asked::Answered(frame.b, Reply::default()),
            Kind::Answer => {
                let writer = String::from_utf8_lossy(frame.parts[1]).into_owned();
                let reply = Reply { status: frame.a.cast_signed(), value: frame.parts[0].to_vec(), writer };
                Asked::Answered(frame.b, reply)
            }
            // The reader passes no frame that goes the other way, and a second setup changes nothing.
            Kind::Setup
            | Kind::Hello
            | Kind::Ready
            | Kind::NotReady
            | Kind::Refused
            | Kind::Complete
            | Kind::Log
            | Kind::Heartbeat
            | Kind::Dropped
            | Kind::Secret
            | Kind::Fetch => Asked::Nothing,
        })
    }
}

fn call(frame: &Frame<'_>) -> Call {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Call {
        function: frame.a,
        attempt: frame.c,
        payload: frame.parts[0].to_vec(),
        is_whole: frame.d != 0,
        deadline_unix_ms: frame.b,
        idempotency_key: text(frame.parts[1]),
        trace_parent: text(frame.parts[2]),
    }
}

/// Begins a call. Takes as long as the package's `start` does.
fn begin(library: &Arc<Library>, host: &Arc<Host>, number: u64, call: Call) {
    let sink = Arc::new(HostSink { number, host: Arc::clone(host), n_secrets: AtomicUsize::new(0) });
    match library.start(call, sink) {
        Ok(id) => {
            let mut calls = host.lock();
            // It may have ended before `start` returned.
            let Some(known) = calls.get_mut(&number) else { return };
            let is_cancelled = known.replace(id).is_some();
            drop(calls);
            if is_cancelled {
                library.cancel(id);
            }
        }
        Err(refused) => {
            host.lock().remove(&number);
            host.outbox.post(&refusal(number, &refused));
        }
    }
}

/// The refusal of a call as a frame.
fn refusal(number: u64, refused: &Refused) -> Frame<'static> {
    let wide = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let (a, b, c) = match refused {
        Refused::ByPackage => (1, 0, 0),
        Refused::UnknownStatus { status } => (2, 0, status.cast_unsigned()),
        Refused::NoFunction { function, functions } => (3, wide(*functions), *function),
        Refused::TooLarge { max } => (4, wide(*max), 0),
        Refused::Closed => (5, 0, 0),
    };
    Frame { a, b, c, ..Frame::new(Kind::Refused, number) }
}

/// The refusal that a frame holds.
pub(super) fn refused(frame: &Frame<'_>) -> Refused {
    let narrow = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    match frame.a {
        2 => Refused::UnknownStatus { status: frame.c.cast_signed() },
        3 => Refused::NoFunction { function: frame.c, functions: narrow(frame.b) },
        4 => Refused::TooLarge { max: narrow(frame.b) },
        5 => Refused::Closed,
        _ => Refused::ByPackage,
    }
}

/// What all calls of this process share.
struct Host {
    outbox: Arc<Outbox>,
    /// The engine's numbers of the calls under way, and the loader's, once they have begun. A number of another kind
    /// marks one that is cancelled before that.
    calls: Mutex<HashMap<u64, Option<CallId>>>,
    /// Log lines that were left out and not told of yet.
    n_left_out: AtomicU64,
    inbox: Mutex<Inbox>,
    /// The thread that reads it.
    main: ThreadId,
    n_questions: AtomicU64,
    answers: Mutex<Answers>,
    has_answered: Condvar,
}

/// What the engine has answered, until the asking thread goes on.
#[derive(Default)]
struct Answers {
    given: BTreeMap<u64, Reply>,
    is_over: bool,
}

impl Host {
    /// To be made by the thread that will do what the engine asks.
    fn new(outbox: Arc<Outbox>, frames: FrameReader) -> Self {
        Self {
            outbox,
            calls: Mutex::default(),
            n_left_out: AtomicU64::new(0),
            inbox: Mutex::new(Inbox { frames, later: VecDeque::new() }),
            main: thread::current().id(),
            n_questions: AtomicU64::new(0),
            answers: Mutex::default(),
            has_answered: Condvar::new(),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the engine a secret, and returns when that hides it: what is printed from now on may be read at once.
    fn tell_secret(&self, number: u64, text: &str) {
        let parts = [text.as_bytes(), &[], &[]];
        // After an unsuccessful wait there is nothing else to do.
        drop(self.ask(&Frame { parts, ..Frame::new(Kind::Secret, number) }, Some(SECRET_WAIT)));
    }

    /// Asks the engine, and waits for the answer, as long as there is an engine or at most for so long.
    fn ask(&self, frame: &Frame<'_>, at_most: Option<Duration>) -> Option<Reply> {
        let question = self.n_questions.fetch_add(1, Ordering::Relaxed);
        if self.outbox.post(&Frame { b: question, ..*frame }) != Posted::Sent {
            return None;
        }
        if thread::current().id() == self.main {
            return self.wait_reading(question);
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |answers: &mut Answers| !answers.is_over && !answers.given.contains_key(&question);
        let mut answers = match at_most {
            Some(at_most) => {
                let waited = self.has_answered.wait_timeout_while(answers, at_most, is_open);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.has_answered.wait_while(answers, is_open).unwrap_or_else(PoisonError::into_inner),
        };
        answers.given.remove(&question)
    }

    /// Waits on the thread that would hear the answer. What else comes meanwhile is done later.
    fn wait_reading(&self, question: u64) -> Option<Reply> {
        let mut inbox = self.inbox();
        // Without a connection there is no answer, and the loop of that thread sees it too.
        loop {
            match inbox.read().ok()? {
                Asked::Answered(answered, reply) if answered == question => return Some(reply),
                Asked::Answered(answered, reply) => self.note_answer(answered, reply),
                asked => inbox.later.push_back(asked),
            }
        }
    }

    fn note_answer(&self, question: u64, reply: Reply) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).given.insert(question, reply);
        self.has_answered.notify_all();
    }

    /// There are no further answers.
    fn hang_up(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.has_answered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Option<CallId>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel_early(&self, number: u64) {
        if let Some(known) = self.lock().get_mut(&number) {
            known.get_or_insert_with(CallId::next);
        }
    }

    /// Sends a line, or counts it.
    fn log(&self, number: u64, line: &LogLine) {
        let n_left_out = self.n_left_out.load(Ordering::Relaxed);
        if n_left_out > 0 {
            let told = Frame { b: n_left_out, ..Frame::new(Kind::Dropped, number) };
            if self.outbox.post_if_room(&told) == Posted::Sent {
                self.n_left_out.fetch_sub(n_left_out, Ordering::Relaxed);
            }
        }
        if self.outbox.post_if_room(&log_frame(number, line)) == Posted::LeftOut {
            self.n_left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A log line as a frame.
pub(super) fn log_frame(number: u64, line: &LogLine) -> Frame<'_> {
    let LogLine { level, target, message, fields } = line;
    let parts = [target.as_bytes(), message.as_bytes(), fields.as_bytes()];
    Frame { a: level.number(), parts, ..Frame::new(Kind::Log, number) }
}

/// Passes on to the engine what is heard of one call.
struct HostSink {
    number: u64,
    host: Arc<Host>,
    n_secrets: AtomicUsize,
}

impl HostSink {
    fn complete_with(&self, sent: &Sent<'_>) {
        self.host.lock().remove(&self.number);
        // What the call has printed is its own, also a line that it has not ended.
        loader::flush_stdout();
        let message = text(sent.error_message, loader::MESSAGE_SENT_MAX);
        let kind = text(sent.error_code, loader::NAME_SENT_MAX);
        // An output that is too large is cut to one byte more than the limit, so that it is refused as too large.
        let output = &sent.output[..sent.output.len().min(loader::OUTPUT_BYTES_MAX + 1)];
        // Large ends of many calls at once wait for each other here, and not in the queue.
        self.host.outbox.post_when_room(&Frame {
            a: sent.status.cast_unsigned(),
            b: sent.cpu_ns,
            c: sent.output_kind,
            d: sent.retry_after_us,
            parts: [output, kind.as_bytes(), message.as_bytes()],
            ..Frame::new(Kind::Complete, self.number)
        });
    }
}

impl CallSink for HostSink {
    fn end(&self, _: CallId, sent: &Sent<'_>) -> Result<(), Bad> {
        self.complete_with(sent);
        Ok(())
    }

    /// Only for ends that could not even be read.
    fn complete(&self, _: CallId, result: CallResult) {
        let CallResult::Failed { error, .. } = result else { return };
        let record = error.to_record();
        let details = record.details.to_string();
        self.complete_with(&Sent {
            status: STATUS_FAILED,
            output_kind: OUTPUT_DELTA,
            retry_after_us: 0,
            cpu_ns: 0,
            output: details.as_bytes(),
            error_code: record.kind.as_bytes(),
            error_message: record.message.as_bytes(),
        });
    }

    fn log(&self, _: CallId, line: LogLine) {
        self.host.log(self.number, &line);
    }

    fn heartbeat(&self, _: CallId, permille: u32, note: String) {
        let frame =
            Frame { a: permille, parts: [note.as_bytes(), &[], &[]], ..Frame::new(Kind::Heartbeat, self.number) };
        self.host.outbox.post_if_room(&frame);
    }

    fn secret(&self, _: CallId, text: String) {
        match self.n_secrets.fetch_add(1, Ordering::Relaxed) {
            n_before if n_before < SECRETS_MAX => self.host.tell_secret(self.number, &text),
            SECRETS_MAX => {
                tracing::warn!(
                    "a task names more than {SECRETS_MAX} secrets: the others are not redacted before it completes"
                );
            }
            _ => {}
        }
    }

    fn fetch(&self, _: CallId, question: &Question<'_>) -> Result<Option<Answer>, Unanswered> {
        let (what, task, key) = question.parts();
        let parts = [task.as_bytes(), key.as_bytes(), &[]];
        let frame = Frame { a: what, parts, ..Frame::new(Kind::Fetch, self.number) };
        // No name of a task is as long, and no key.
        if task.len() > NAME_MAX || key.len() > loader::OUTPUT_BYTES_MAX {
            return Ok(None);
        }
        match self.host.ask(&frame, None) {
            Some(Reply { status: FETCH_FOUND, value, writer }) => {
                let writer = Some(writer).filter(|writer| !writer.is_empty()).map(Into::into);
                Ok(Some(Answer { value: AnswerText::Made(value), writer }))
            }
            Some(Reply { status: FETCH_ABSENT, .. }) => Ok(None),
            Some(Reply { status, .. }) => Err(Unanswered::of_status(status)),
            None => Err(Unanswered::Gone),
        }
    }

    fn is_abandoned(&self, _: CallId) -> bool {
        false
    }
}
