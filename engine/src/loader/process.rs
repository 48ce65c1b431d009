//! What a process needs of the system that has no checked interface: waiting for a child together with what it used
//! up, closing descriptors that it was given without being asked, ending without code of others, flushing what C code has
//! printed, and the process at the other end of a socket.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
    time::Duration,
};

/// What is left of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) status: ExitStatus,
    /// Processor time of all its threads.
    pub(crate) cpu: Duration,
    /// The most memory that it held at once, if that is known.
    pub(crate) peak_bytes: Option<u64>,
}

/// Waits until the child with that number has ended, and removes it from the system's table. No other code may wait for it.
///
/// Its memory is counted from before it became another program: a child begins with what its parent has held.
pub(crate) fn reap(pid: u32) -> io::Result<Reaped> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: a struct of integers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to places of this frame that are as large as the call asks.
        let ended = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if ended == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |value: libc::timeval| {
        let micros = u64::try_from(value.tv_usec).unwrap_or(0);
        Duration::from_secs(u64::try_from(value.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
    };
    Ok(Reaped {
        status: ExitStatus::from_raw(status),
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        // Linux counts it in KiB.
        peak_bytes: u64::try_from(usage.ru_maxrss).ok().map(|kib| kib * 1024),
    })
}

/// The clock of the processor time that all threads of another process have used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// That of the process with this number, if there is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let pid = libc::pid_t::try_from(pid).ok()?;
        let mut clock = 0;
        // SAFETY: the pointer is to a place of this frame.
        let found = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
        (found == 0).then_some(Self(clock))
    }

    /// What it shows; nothing once the process has been reaped.
    pub(crate) fn read(self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a place of this frame.
        let read = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
        (read == 0).then(|| Duration::from_secs(seconds) + Duration::from_nanos(nanos))
    }
}

/// Ends this process now: nothing that a package has registered for its end runs, and no thread is waited for.
pub(crate) fn exit_at_once(code: u8) -> ! {
    // SAFETY: it takes a number, and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Closes every descriptor of this process but the three standard ones and the one to keep.
///
/// To be called first thing in a program, before anything else has opened one.
pub(crate) fn close_others(keep: BorrowedFd<'_>) -> io::Result<()> {
    let keep = u32::try_from(keep.as_raw_fd()).map_err(io::Error::other)?;
    for (first, last) in [(3, keep.saturating_sub(1)), (keep + 1, u32::MAX)] {
        if first > last {
            continue;
        }
        // SAFETY: no other code of this program owns the descriptors, as the caller promises by its place.
        let closed = unsafe { libc::close_range(first, last, 0) };
        if closed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// How often a lock is tried that a printing thread holds at this moment.
const TRIES_MAX: u32 = 100;

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    fn ftrylockfile(stream: *mut libc::FILE) -> libc::c_int;
    fn funlockfile(stream: *mut libc::FILE);
    fn fflush_unlocked(stream: *mut libc::FILE) -> libc::c_int;
}

/// Flushes the output of C code of this process, unless another thread keeps the lock of the standard output.
pub(crate) fn flush_stdout() {
    // SAFETY: the C library sets it before `main`.
    let stream = unsafe { stdout };
    for _ in 0..TRIES_MAX {
        // SAFETY: the C library's own stream.
        if unsafe { ftrylockfile(stream) } != 0 {
            std::thread::yield_now();
            continue;
        }
        // SAFETY: as above, and it is locked. What cannot be written is the package's own business.
        unsafe { fflush_unlocked(stream) };
        // SAFETY: as above, and it is unlocked once.
        unsafe { funlockfile(stream) };
        return;
    }
}

/// The process that connected a Unix socket, as it was then: its number may be another's by now. Older systems do not say.
pub(crate) fn peer_process(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut process: libc::c_int = -1;
    let mut n_bytes = libc::socklen_t::try_from(size_of_val(&process)).map_err(io::Error::other)?;
    let place = (&raw mut process).cast();
    // SAFETY: both pointers are to places of this frame, and the second says how large the first is.
    let found =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERPIDFD, place, &raw mut n_bytes) };
    if found != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has created the descriptor for the caller, and no other code knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(process) })
}
