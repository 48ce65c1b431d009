//! Engines that share a PostgreSQL database: real processes, one of which is stopped for longer than its lease.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use cloacina::{Records, RunEvent, RunId, RunReport, RunState, TaskState, testing::ServerSchema};
use tempfile::TempDir;

/// Short, so that the test is, but far above what a busy disk keeps an engine from saying that it lives.
const LEASE_MS: &str = "5000";

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine in a process of its own.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    /// Its output that the test has not waited for yet.
    heard: Vec<String>,
}

impl Process {
    fn start(database: &ServerSchema, folder: &TempDir) -> Self {
        Self::start_at(database.url(), folder)
    }

    pub(crate) fn start_at(url: &str, folder: &TempDir) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sharing"))
            .args([url, folder.path().to_str().unwrap(), LEASE_MS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let said = BufReader::new(output).lines().map_while(Result::ok);
            said.for_each(|line| sender.send(line).unwrap_or_default());
        });
        let mut process = Self { child, input, lines, heard: Vec::new() };
        process.wait_for("ready");
        process
    }

    /// The rest of the first line that begins so.
    pub(crate) fn wait_for(&mut self, beginning: &str) -> String {
        loop {
            if let Some(place) = self.heard.iter().position(|line| line.starts_with(beginning)) {
                return self.heard.remove(place)[beginning.len()..].trim().to_owned();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(error) => panic!("{error}: process {} never said {beginning:?}, but {:?}", self.id(), self.heard),
            }
        }
    }

    /// Tells it what to do. One that has died hears nothing.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").ok();
    }

    /// The next run that it acknowledges, unless it says that it did not create one.
    pub(crate) fn acknowledgement(&mut self) -> Option<RunId> {
        loop {
            let place =
                self.heard.iter().position(|line| line.starts_with("submitted ") || line.starts_with("refused "));
            if let Some(place) = place {
                return self.heard.remove(place).strip_prefix("submitted ")?.parse().ok();
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(error) => panic!("{error}: process {} neither submits nor refuses: {:?}", self.id(), self.heard),
            }
        }
    }

    /// Kills it, and returns what it had acknowledged.
    pub(crate) fn end(mut self) -> Vec<RunId> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut heard = std::mem::take(&mut self.heard);
        heard.extend(self.lines.iter());
        heard.iter().filter_map(|line| line.strip_prefix("submitted ")?.parse().ok()).collect()
    }

    pub(crate) fn submit(&mut self, workflow: &str) -> RunId {
        self.say(&format!("submit {workflow}"));
        self.wait_for("submitted").parse().unwrap()
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either may have happened by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What the tasks noted: process, run, task, attempt, what.
pub(crate) fn ledger(folder: &TempDir) -> Vec<(u32, String, String, u32, String)> {
    let text = fs::read_to_string(folder.path().join("ledger")).unwrap_or_default();
    let whole = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (process, key, what) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
        let mut parts = key.split('/');
        let (run, task, attempt) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        Some((process, run.to_owned(), task.to_owned(), attempt, what.to_owned()))
    });
    whole.collect()
}

/// Waits until that process has noted that about a task of a run.
fn wait_for_note(folder: &TempDir, process: u32, run: RunId, task: &str, what: &str) {
    let path = folder.path().join("ledger");
    let wanted = |(by, of, which, _, noted): &(u32, String, String, u32, String)| {
        *by == process && *of == run.to_string() && which == task && noted == what
    };
    wait_until(&format!("{what} of {task} in {}", path.display()), || ledger(folder).iter().any(wanted));
}

/// Polls, because there is no notification when a file or a row changes.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let mut left = PATIENCE.as_millis() / 10;
    while !is_so() {
        assert!(left > 0, "in vain: {what}");
        left -= 1;
        thread::park_timeout(Duration::from_millis(10));
    }
}

#[expect(clippy::disallowed_methods, reason = "the test command tells tests by its environment where the server is")]
pub(crate) fn server() -> ServerSchema {
    let address = std::env::var_os("CLOACINA_TEST_POSTGRES");
    let address = address.expect("`./test -- sharing` starts a PostgreSQL server and runs this with it");
    ServerSchema::create(address.to_str().unwrap()).unwrap()
}

fn history(database: &ServerSchema, runs: &[RunId]) -> BTreeMap<RunId, Vec<RunEvent>> {
    let mut records = Records::open(database.url()).unwrap();
    runs.iter().map(|run| (*run, records.events(*run).unwrap())).collect()
}

fn report(database: &ServerSchema, run: RunId) -> RunReport {
    Records::open(database.url()).unwrap().report(run).unwrap()
}

fn kinds(events: &[RunEvent]) -> Vec<(&str, Option<&str>, Option<u32>)> {
    events.iter().map(|event| (event.kind, event.task.as_deref(), event.attempt)).collect()
}

fn touch(path: &Path) {
    fs::write(path, "").unwrap();
}

#[test]
fn an_engine_that_stops_for_longer_than_its_lease_is_taken_over_and_fenced() {
    let (database, folder) = (server(), tempfile::tempdir().unwrap());
    let mut first = Process::start(&database, &folder);
    let mut second = Process::start(&database, &folder);
    let (chain, once) = (first.submit("chain"), first.submit("once"));
    let kept = second.submit("chain");
    let runs = [chain, once, kept];
    wait_for_note(&folder, first.id(), chain, "held", "begun");
    wait_for_note(&folder, first.id(), once, "held", "begun");
    wait_for_note(&folder, second.id(), kept, "held", "begun");
    let again = first.submit("again");
    wait_for_note(&folder, first.id(), again, "flaky", "done");
    wait_until("the failure is recorded", || {
        kinds(&history(&database, &[again])[&again]).contains(&("attempt_failed", Some("flaky"), Some(1)))
    });

    first.signal("STOP");
    // Nothing of the first one's is lost, nothing that ended is done again, and the second one's own run stays.
    assert_eq!(second.wait_for(&format!("finished {once}")), "failed");
    assert_eq!(second.wait_for(&format!("finished {again}")), "completed");
    wait_for_note(&folder, second.id(), chain, "held", "begun");
    touch(&folder.path().join("go"));
    assert_eq!(second.wait_for(&format!("finished {chain}")), "completed");
    assert_eq!(second.wait_for(&format!("finished {kept}")), "completed");
    let before = history(&database, &runs);
    assert_eq!(
        kinds(&before[&chain]),
        [
            ("run_created", None, None),
            ("run_started", None, None),
            ("task_completed", Some("first"), Some(1)),
            ("attempt_interrupted", Some("held"), Some(1)),
            ("attempt_started", Some("held"), Some(2)),
            ("task_completed", Some("held"), Some(2)),
            ("task_completed", Some("last"), Some(1)),
            ("run_finished", None, None),
        ]
    );
    let at_once = report(&database, once);
    let task = at_once.task("held").unwrap();
    assert_eq!((task.state, task.error.as_ref().unwrap().kind()), (TaskState::Failed, "interrupted"));
    assert_eq!(report(&database, again).task("flaky").unwrap().attempt, Some(2), "the count goes on");

    first.signal("CONT");
    // Its attempts end by now, as what they wait for is there; it hears that they do not count.
    wait_for_note(&folder, first.id(), chain, "held", "done");
    assert_eq!(first.wait_for(&format!("lost {chain}")), "RUN0006");
    assert_eq!(first.wait_for(&format!("lost {once}")), "RUN0006");
    // It lives on for new runs, under another epoch.
    let new = first.submit("quick");
    assert_eq!(first.wait_for(&format!("ended {new}")), "completed");
    assert_eq!(history(&database, &runs), before, "something of the first engine counted");

    let context = report(&database, chain).context;
    let by = |task: &str| context.get_as::<u32>(task).unwrap();
    assert_eq!([by("first"), by("held"), by("last")], [first.id(), second.id(), second.id()]);
    // The effects: each completion was done by the engine that the database names, and none twice.
    let done = |process, run: RunId, task: &str, attempt| {
        let wanted = (process, run.to_string(), task.to_owned(), attempt, "done".to_owned());
        ledger(&folder).into_iter().filter(|entry| *entry == wanted).count()
    };
    assert_eq!(done(first.id(), chain, "first", 1) + done(second.id(), chain, "first", 1), 1);
    assert_eq!((done(second.id(), chain, "held", 2), done(second.id(), chain, "last", 1)), (1, 1));
    assert_eq!(done(second.id(), once, "held", 1), 0, "it may be started only once");
    assert_eq!(report(&database, new).state, RunState::Completed);
}

#[test]
fn a_killed_engine_is_taken_over_by_one_that_lives() {
    let (database, folder) = (server(), tempfile::tempdir().unwrap());
    let mut first = Process::start(&database, &folder);
    let mut others = [Process::start(&database, &folder), Process::start(&database, &folder)];
    touch(&folder.path().join("go"));
    let mut runs: Vec<RunId> = (0..30).map(|_| first.submit("chain")).collect();
    first.child.kill().unwrap();
    runs.extend(others.iter_mut().map(|other| other.submit("chain")));
    for run in &runs {
        wait_until(&format!("the end of {run}"), || report(&database, *run).state == RunState::Completed);
        let events = history(&database, &[*run]).remove(run).unwrap();
        let completed = kinds(&events).into_iter().filter(|(kind, ..)| *kind == "task_completed").count();
        assert_eq!(completed, 3, "{events:?}");
    }
    // Exactly one engine won each run, so no attempt was begun by two.
    let mut begun = BTreeMap::new();
    for (process, run, task, attempt, what) in ledger(&folder) {
        if what == "begun" {
            let by = *begun.entry((run.clone(), task.clone(), attempt)).or_insert(process);
            assert_eq!(by, process, "{run}/{task}/{attempt}");
        }
    }
}
