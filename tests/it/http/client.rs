//! A server in a process of its own, and curl as its client.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use cloacina::Value;
use rustix::param;

use crate::steer::Place;

/// A server that was started for a test.
pub(super) struct Served {
    child: Child,
    pub(super) url: String,
    /// What the command printed when the server had started.
    pub(super) printed: String,
    /// The file of the certificate that clients trust, and no other.
    pub(super) trusted: Option<PathBuf>,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Served {
    /// Starts a server on the database of the place.
    pub(super) fn start(place: &Place) -> Self {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--no-login", "--output", "json", "--quiet"];
        Self::listen(place.command(&serve))
    }

    /// Starts a server that asks for a login, and returns what it said about itself, too.
    pub(super) fn start_with_login(place: &Place) -> (Self, Value) {
        Self::start_with_login_and(place, &[])
    }

    /// The same, with these arguments.
    pub(super) fn start_with_login_and(place: &Place, arguments: &[&str]) -> (Self, Value) {
        let serve = ["serve", "--listen", "127.0.0.1:0", "--output", "json", "--quiet"];
        let served = Self::listen(place.command(&[&serve, arguments].concat()));
        let started = serde_json::from_str(&served.printed).unwrap();
        (served, started)
    }

    /// A command that is a server, and what it says on stderr.
    pub(super) fn listen_with_notes(command: Command) -> (Self, ChildStderr) {
        let mut served = Self::listen(command);
        let stderr = served.child.stderr.take().unwrap();
        (served, stderr)
    }

    pub(super) fn listen(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        Self { child, url: started["url"].as_str().unwrap().to_owned(), printed: line, trusted: None }
    }

    /// Asks with these arguments of curl; the last one is the path.
    pub(super) fn ask(&self, arguments: &[&str]) -> Answer {
        let (path, options) = arguments.split_last().unwrap();
        let output = self.curl(options, path).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Answer::parse(&output.stdout)
    }

    pub(super) fn curl(&self, options: &[&str], path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "120", "--noproxy", "*"]);
        if let Some(certificate) = &self.trusted {
            curl.arg("--cacert").arg(certificate);
        }
        curl.args(options).arg(format!("{}{path}", self.url));
        curl
    }

    pub(super) fn get(&self, path: &str) -> Value {
        let answer = self.ask(&[path]);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    pub(super) fn post(&self, path: &str, body: &str) -> Answer {
        self.ask(&["-H", "content-type: application/json", "-d", body, path])
    }

    /// Submits a run and returns its id.
    pub(super) fn submit(&self, body: &str) -> String {
        let answer = self.post("/api/v1/runs", body);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["run"].as_str().unwrap().to_owned()
    }

    /// Registers an archive, and returns the status and the version.
    pub(super) fn register(&self, archive: &Path) -> (u16, Value) {
        let form = format!("archive=@{}", archive.display());
        let answer = self.ask(&["-F", &form, "/api/v1/packages"]);
        (answer.status, answer.json())
    }

    /// The items of a stream until it ends: the name, the id and the data of each.
    pub(super) fn stream(&self, options: &[&str], path: &str) -> Vec<(String, String, Value)> {
        let arguments = [&["--no-buffer"], options, &[path]].concat();
        items(&self.ask(&arguments).text())
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The bytes that the server has in memory now.
    pub(super) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The processor time that the server has used so far, to a hundredth of a second.
    pub(super) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name comes before the last parenthesis; the times are the 14th and the 15th field of all.
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let n_ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_secs(n_ticks) / u32::try_from(param::clock_ticks_per_second()).unwrap()
    }

    /// The most bytes that the server had in memory since the peak was forgotten.
    pub(super) fn peak_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    pub(super) fn forget_peak(&self) {
        // Where the system does not allow that, the peak is the one since the start, which is only stricter.
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").ok();
    }

    /// A line of the status that the system has of the process.
    fn status(&self, name: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Asks the server to end, and returns its exit code.
    pub(super) fn end(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        loop {
            let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            rest = &rest[end + 4..];
            // Before a large upload curl asks whether it may go on.
            if status >= 200 {
                return Self { status, head, body: rest.to_vec() };
            }
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text; what is none of it, as in an archive, is replaced.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn items(text: &str) -> Vec<(String, String, Value)> {
    let field = |item: &str, name: &str| {
        let line = item.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let whole = text.split("\n\n").filter(|item| item.contains("event: "));
    whole
        .map(|item| (field(item, "event"), field(item, "id"), serde_json::from_str(&field(item, "data")).unwrap()))
        .collect()
}
