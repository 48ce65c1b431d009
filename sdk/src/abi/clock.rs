//! The processor time of the thread that asks.
//!
//! The system's C library has the clock, and Rust's own library links that already, so a package needs no crate for
//! it. A system on which the layout of the answer is not known for sure has no such clock here: its tasks are not
//! measured, and run as well.

use std::time::Duration;

/// The processor time that this thread has used up since it began; nothing where the system does not tell.
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

/// The processor time that this thread has used up since it began; nothing where the system does not tell.
#[must_use]
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn thread_cpu() -> Option<Duration> {
    None
}
