//! A worker as the harness sees it: a child process, what it says, and signals.
//!
//! Every line counts that a worker wrote whole before it was killed; a last one without an end is dropped.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use crate::{Failure, account::Acknowledged, options::Sabotaged};

/// A worker that says nothing for so long, though it should, is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long a worker that was taken over from is listened to, and for how many lines.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_LINES: usize = 300;

/// What all workers are started with.
pub(crate) struct Started {
    pub(crate) database: String,
    pub(crate) folder: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) sabotage: Option<Sabotaged>,
}

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Started {
    pub(crate) fn start(&self, mode: &str) -> Result<Process, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.arguments(mode));
        Process::spawn(command)
    }

    /// The arguments of a worker.
    pub(crate) fn arguments(&self, mode: &str) -> Vec<String> {
        let sabotage = self.sabotage.map_or("", Sabotaged::as_str);
        let (folder, package) = (self.folder.display().to_string(), self.package.display().to_string());
        ["worker", &self.database, &folder, &package, mode, sabotage].map(str::to_owned).into()
    }
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the worker has no output")?);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|n_bytes| n_bytes > 0) {
                match line.strip_suffix('\n') {
                    Some(whole) if sender.send(whole.to_owned()).is_ok() => line.clear(),
                    _ => return,
                }
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Lets a worker that waits for a word go on.
    pub(crate) fn tell(&mut self, word: &str) -> Result<(), Failure> {
        let input = self.child.stdin.as_mut().ok_or("the worker has no input")?;
        Ok(writeln!(input, "{word}")?)
    }

    /// Listens until that is so after a line.
    pub(crate) fn hear_until(
        &mut self,
        said: &mut Acknowledged,
        mut is_enough: impl FnMut(&Acknowledged, &str) -> bool,
    ) -> Result<(), Failure> {
        loop {
            let line = self.line(PATIENCE).ok_or("a worker died by itself, or does nothing")?;
            said.note(self.id(), &line);
            if is_enough(said, &line) {
                return Ok(());
            }
        }
    }

    /// Listens until it has completed a task of a run that the other one submitted. What the other one says meanwhile is
    /// heard too: only so is it known which runs are its own.
    #[expect(
        clippy::disallowed_methods,
        reason = "a harness that finds nothing must end, however much is said meanwhile"
    )]
    pub(crate) fn hear_takeover(&mut self, other: &Self, said: &mut Acknowledged) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            other.lines.try_iter().for_each(|line| said.note(other.id(), &line));
            let line = self.line(PATIENCE).ok_or("a worker died by itself, or does nothing")?;
            said.note(self.id(), &line);
            if said.is_completion_of_another(&line, other.id()) {
                return Ok(());
            }
        }
        Err("nothing was taken over".into())
    }

    /// Listens for a while.
    pub(crate) fn hear_some(&mut self, said: &mut Acknowledged) {
        for _ in 0..LINGER_LINES {
            let Some(line) = self.line(LINGER) else { return };
            said.note(self.id(), &line);
        }
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Failure> {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("a worker was gone before SIG{name}").into()) }
    }

    /// Kills it. What it said before counts.
    pub(crate) fn kill(mut self, said: &mut Acknowledged) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        for line in &self.lines {
            said.note(self.child.id(), &line);
        }
        Ok(())
    }

    /// Waits until it has ended by itself, and returns what it said.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, Failure> {
        let lines = self.lines.iter().collect();
        let status = self.child.wait()?;
        if status.success() { Ok(lines) } else { Err(format!("a worker ended with {status}").into()) }
    }
}
