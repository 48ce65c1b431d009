//! Starts a package host and waits until it has loaded the library, or says why it has not.
//!
//! What the process of the engine has open stays with the engine: the new one gets its connection as its standard input,
//! two pipes for what it writes, and nothing else. It makes itself the leader of a session before it answers.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{
    Confinement, Error, Sandbox,
    child::{Child, ChildOrigin},
    death::Killed,
    frame::{Frame, Kind},
    identity::Identity,
    inbox::Inbox,
    keeper::Keeper,
    observe,
    outbox::Outbox,
    process::{Place, Process, Running},
    program::HostProgram,
    sandbox::Grants,
    setup::{NotReady, Ready, Setup},
    stream::FrameReader,
    watcher,
};
use crate::loader::CallId;

/// How long a library may take to load. Constructors and `init` run in that time.
const LOAD_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Variables that every package gets: the language and the time zone.
const VARIABLES: [&str; 4] = ["LANG", "LC_ALL", "TZ", "TZDIR"];

/// A package host with a loaded library, and the receiver of its frames.
pub(super) struct Started {
    pub(super) inbox: Inbox,
    pub(super) frames: FrameReader,
}

/// Starts a process for the package. Blocks until its library is loaded.
pub(super) fn start(
    program: &HostProgram,
    setup: &Setup,
    origin: ChildOrigin,
    place: Place,
    keeper: &Arc<Keeper>,
) -> Result<Started, Error> {
    let failed = |source| Error::Start { program: program.program().clone(), source };
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let connection = Identity::of(&theirs);
    let mut command = Command::new(program.program());
    command
        .args(program.arguments())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    surround(&mut command, setup.sandbox, &setup.grants);
    let mut process = command.spawn().map_err(failed)?;
    // The other end of the connection must be the process's alone, or its end would not be seen.
    drop(command);
    let pid = process.id();
    let pidfd = Pid::from_raw(pid.cast_signed()).ok_or(rustix::io::Errno::SRCH);
    let pidfd = pidfd.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let (pidfd, writes) = match pidfd.map_err(std::io::Error::from).and_then(|pidfd| Ok((pidfd, ours.try_clone()?))) {
        Ok(both) => both,
        Err(source) => {
            // Without a way to watch it the process is not used.
            process.kill().and_then(|()| process.wait()).ok();
            return Err(failed(source));
        }
    };
    let stdout = watcher::prepare(process.stdout.take().map(OwnedFd::from));
    let pipes = [stdout, watcher::prepare(process.stderr.take().map(OwnedFd::from))];
    // By now the process is no longer a copy of this one, so it began with at most the peak of this one.
    let inherited_bytes = observe::peak_bytes(std::process::id());
    let outbox = Outbox::new(writes);
    let running = Running { pid, pidfd, outbox, connection, pipes: pipes.clone(), inherited_bytes };
    // Before it hears of the package, so that all that the package starts is in the group.
    let level = place.add(pid);
    let process_of_child = Process::new(running, setup.limits, place.scratch.as_ref(), level);
    let child = Child::new(process_of_child, origin, setup.limits, setup.sandbox);
    let watched = Arc::clone(&child);
    thread::Builder::new()
        .name("clcn-watch".to_owned())
        .spawn(move || watcher::watch(&watched, pipes, place))
        .inspect_err(|_| {
            // No other code would wait for it.
            let ended = process.kill().and_then(|()| process.wait());
            child.set_reaped(None, 0);
            child.give_up();
            drop(ended);
        })
        .map_err(failed)?;
    let mut inbox = Inbox::new(&child);
    let mut frames = FrameReader::of_engine(ours);
    let loaded = load(&mut inbox, &mut frames, setup, program, keeper);
    match loaded {
        Ok(()) => Ok(Started { inbox, frames }),
        Err(error) => {
            child.kill(Killed::Dismissed);
            child.give_up();
            Err(error)
        }
    }
}

/// Has the process load its library, for as long as that may take.
fn load(
    inbox: &mut Inbox,
    frames: &mut FrameReader,
    setup: &Setup,
    program: &HostProgram,
    keeper: &Arc<Keeper>,
) -> Result<(), Error> {
    let child = Arc::clone(inbox.child());
    let _alarm = keeper.kill_after(LOAD_WAIT, &child, Killed::NotReady { after: LOAD_WAIT });
    observe::begin(keeper, &child);
    let mut confinement = shake_hands(inbox, frames, setup, program)?;
    child.process.bounds().note(&mut confinement);
    if setup.requires_sandbox && !confinement.missing.is_empty() {
        return Err(Error::refused(NotReady::unconfined(&confinement)));
    }
    child.roster.set_loaded(child.id, confinement);
    Ok(())
}

/// Gives a process the environment and the working folder that its package may have.
pub(super) fn surround(command: &mut Command, sandbox: Sandbox, grants: &Grants) {
    if sandbox != Sandbox::Server {
        return;
    }
    if !grants.all_env {
        command.env_clear();
    }
    let granted = grants.env.iter().map(String::as_str).chain(VARIABLES);
    let granted: Vec<_> = granted.filter_map(|name| Some((name, variable(name)?))).collect();
    command.envs(granted);
    // The package's own folder is the only one that it may surely use.
    if let Some(scratch) = grants.write.first() {
        command.env("TMPDIR", scratch).env("HOME", scratch).current_dir(scratch);
    }
}

#[expect(clippy::disallowed_methods, reason = "what a package is to see of the environment is taken from it here")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Sends the setup and waits for the answer.
fn shake_hands(
    inbox: &mut Inbox,
    frames: &mut FrameReader,
    setup: &Setup,
    program: &HostProgram,
) -> Result<Confinement, Error> {
    let child = Arc::clone(inbox.child());
    let no_host = || Error::NoHost { program: program.program().clone() };
    let json = serde_json::to_vec(setup).map_err(|_| no_host())?;
    child.process.outbox.post(&Frame { parts: [&json, &[], &[]], ..Frame::new(Kind::Setup, 0) });
    // Another program does something else with its arguments, and does not greet.
    if !frames.next().is_ok_and(|frame| frame.kind == Kind::Hello) {
        return Err(no_host());
    }
    loop {
        let Ok(frame) = frames.next() else { return Err(Error::crashed(&child.death())) };
        match frame.kind {
            Kind::Log => {
                inbox.log(CallId::of_number(frame.call), &frame).map_err(|_| no_host())?;
            }
            Kind::Ready => {
                let ready: Ready = serde_json::from_slice(frame.parts[0]).map_err(|_| no_host())?;
                return Ok(ready.confinement);
            }
            Kind::NotReady => {
                let answer: NotReady = serde_json::from_slice(frame.parts[0]).map_err(|_| no_host())?;
                return Err(Error::refused(answer));
            }
            _ => return Err(no_host()),
        }
    }
}
