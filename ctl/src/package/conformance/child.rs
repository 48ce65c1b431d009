//! The parent's side of a child: starts it, asks it, listens until it is done, has died, or has said nothing for too
//! long.
//!
//! A child never outlives its question: it is killed after the answer, because threads of the package may still run.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use cloacina::Confined;

use super::message::{Question, Word};
use crate::error::Error;

/// How much longer than a call a child may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How much of what a package printed before it died is shown.
const PRINTED_BYTES_MAX: u64 = 400;
/// Words of one child that are kept.
const WORDS_MAX: usize = 200;

/// What a child said before its end.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) findings: Vec<String>,
    pub(super) notes: Vec<String>,
    /// System calls that the sandbox refused.
    pub(super) refused: BTreeSet<String>,
}

/// Asks a new child.
pub(super) fn ask(question: &Question) -> Result<Answer, Error> {
    let failed = |source| Error::Examine { source };
    let program = std::env::current_exe().map_err(failed)?;
    let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_millis(question.patience_ms) + SILENCE_MAX)).map_err(failed)?;
    let printed = tempfile::tempfile().map_err(failed)?;
    let (stdout, stderr) = (printed.try_clone().map_err(failed)?, printed.try_clone().map_err(failed)?);
    let mut command = Command::new(program);
    command.args(["package", "examine"]).stdin(OwnedFd::from(theirs)).stdout(stdout).stderr(stderr);
    if let Some(confined) = question.confined() {
        confined.prepare(&mut command);
    }
    let mut child = command.spawn().map_err(failed)?;
    // The child's end is open in the child alone from here on, so its death is the end of the stream.
    drop(command);
    let mut line = serde_json::to_string(question).expect("invariant: a question is made of strings and numbers");
    line.push('\n');
    // A child that is gone already is seen by its silence.
    socket.write_all(line.as_bytes()).ok();
    let heard = listen(BufReader::new(socket));
    let status = Confined::end(&mut child).map_err(failed)?;
    let Heard { mut answer, at, end } = heard;
    match end {
        End::Done => {}
        End::Died => answer.findings.push(format!("{} {at}{}", death(status), printed_text(printed))),
        End::Silent => answer.findings.push(format!("made no progress for too long {at}")),
    }
    Ok(answer)
}

struct Heard {
    answer: Answer,
    /// What the child was at.
    at: String,
    end: End,
}

enum End {
    Done,
    Died,
    Silent,
}

fn listen(mut words: impl BufRead) -> Heard {
    let (mut answer, mut at) = (Answer::default(), "before it was loaded".to_owned());
    loop {
        let mut line = String::new();
        let word = match words.read_line(&mut line) {
            Ok(0) => return Heard { answer, at, end: End::Died },
            Ok(_) => serde_json::from_str(&line),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Heard { answer, at, end: End::Silent };
            }
            Err(_) => return Heard { answer, at, end: End::Died },
        };
        match word {
            Ok(Word::At(step)) => at = step,
            Ok(Word::Finding(finding)) if answer.findings.len() < WORDS_MAX => answer.findings.push(finding),
            Ok(Word::Note(note)) if answer.notes.len() < WORDS_MAX => answer.notes.push(note),
            Ok(Word::Refused(call)) if answer.refused.len() < WORDS_MAX => drop(answer.refused.insert(call)),
            Ok(Word::Finding(_) | Word::Note(_) | Word::Refused(_)) => {}
            Ok(Word::Done) => return Heard { answer, at, end: End::Done },
            // Whatever writes there is not the examination: the package has found the socket.
            Err(_) => answer.findings.push(format!("wrote to a descriptor that is not its own {at}")),
        }
    }
}

/// How a process ended.
fn death(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("ended the process with exit code {code}"),
        (None, None) => "ended the process".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL (an instruction that does not exist)",
        5 => "SIGTRAP",
        6 => "SIGABRT (abort, a failed assertion, an uncaught exception)",
        7 => "SIGBUS (access to memory that does not exist)",
        8 => "SIGFPE (a division by zero)",
        9 => "SIGKILL (out of memory?)",
        11 => "SIGSEGV (invalid memory access, or a stack overflow)",
        31 => "SIGSYS (a system call that the sandbox forbids)",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// The last of what the package printed, behind a colon.
fn printed_text(mut printed: File) -> String {
    let mut bytes = Vec::new();
    let length = printed.seek(SeekFrom::End(0)).unwrap_or_default();
    let read = printed
        .seek(SeekFrom::Start(length.saturating_sub(PRINTED_BYTES_MAX)))
        .and_then(|_| printed.take(PRINTED_BYTES_MAX).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    match (read, text.trim()) {
        (Err(_), _) | (_, "") => String::new(),
        (Ok(_), text) => format!("; it had printed: {text}"),
    }
}
