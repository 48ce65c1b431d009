//! Notes which system calls a process was refused: a filter that traps instead of refusing, and a handler that answers
//! in its place.
//!
//! For the examination of packages, which says what a package tried. The handler touches nothing but the registers
//! of the call and some atomic words, so it may run at any moment on any thread. What it answers is what the filter
//! would have answered. A thread that has blocked the signal is killed by the system, as for any trap.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of system calls are far below 64 times as many.
const WORDS: usize = 16;

/// A bit for each call that was refused. The process examines one package and ends.
static REFUSED: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// Has trapped calls noted, and fail with EPERM. False if the system does not let it, or this machine is not known.
pub(crate) fn note_refused_calls() -> bool {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return false;
    }
    // SAFETY: a struct of integers and an optional function, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = refuse;
    action.sa_sigaction = handler as usize;
    // Not blocked while it runs, so that a handler of the package that is interrupted by it may be refused something too.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    // SAFETY: the action is a whole one, and the handler is safe to be called at any moment.
    unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) == 0 }
}

/// The numbers of the calls that were refused so far.
pub(crate) fn refused_calls() -> impl Iterator<Item = libc::c_long> {
    let words = REFUSED.iter().zip(0_i64..);
    words.flat_map(|(word, nth)| {
        let bits = word.load(Ordering::Relaxed);
        (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| nth * 64 + bit)
    })
}

extern "C" fn refuse(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the system hands over the registers of the thread that was interrupted, which are the handler's alone.
    let Some(context) = (unsafe { context.as_mut() }) else { return };
    let refused = -i64::from(libc::EPERM);
    #[cfg(target_arch = "x86_64")]
    let call = {
        let answer = &mut context.uc_mcontext.gregs[libc::REG_RAX as usize];
        std::mem::replace(answer, refused)
    };
    #[cfg(target_arch = "aarch64")]
    let call = {
        context.uc_mcontext.regs[0] = refused.cast_unsigned();
        context.uc_mcontext.regs[8].cast_signed()
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let call = -1 - refused;
    if let Some(word) = usize::try_from(call / 64).ok().and_then(|nth| REFUSED.get(nth)) {
        word.fetch_or(1 << (call % 64), Ordering::Relaxed);
    }
}
