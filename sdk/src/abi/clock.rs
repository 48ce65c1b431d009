//! The CPU time of the calling thread.
//!
//! The system's C library has the clock, and Rust's own library links that already, so a package needs no crate for
//! it. On a system with an unknown layout of the answer, this clock is absent: tasks run there, but are not
//! measured.

use std::time::Duration;

/// The CPU time of this thread since it began; nothing where the system does not provide it.
#[must_use]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub fn thread_cpu() -> Option<Duration> {
    /// `struct timespec`, of two longs on these systems.
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanos: i64,
    }

    unsafe extern "C" {
        safe fn clock_gettime(clock: i32, time: &mut Timespec) -> i32;
    }

    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
    let mut time = Timespec { seconds: 0, nanos: 0 };
    if clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) != 0 {
        return None;
    }
    Some(Duration::new(u64::try_from(time.seconds).ok()?, u32::try_from(time.nanos).ok()?))
}

/// The CPU time of this thread since it began; nothing where the system does not provide it.
#[must_use]
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn thread_cpu() -> Option<Duration> {
    None
}
