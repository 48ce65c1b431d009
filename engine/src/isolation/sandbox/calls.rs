//! Which system calls a package may make, by seccomp filters.
//!
//! What programs try in good faith, such as starting another, fails with EPERM, and their authors read why. What only
//! somebody tries who wants out ends the process with SIGSYS. Calls that are not named are allowed: a list of all that
//! every runtime may ever need would be wrong on the next system. Files are Landlock's matter.

use std::collections::BTreeMap;

use rustix::process::getpid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::enter::Grants;
use crate::loader::{note_refused_calls, refused_calls};

/// What ends the process.
const FATAL: [libc::c_long; 26] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_open_by_handle_at,
    libc::SYS_fsopen,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pidfd_getfd,
];

/// What fails, whatever the arguments are: other programs, ways around what is looked at here, and memory and queues that
/// stay when the process has ended.
const REFUSED: [libc::c_long; 12] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_pidfd_send_signal,
    libc::SYS_shmget,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
];

/// Calls whose first argument is a process, which must be this one.
const OF_OWN_PROCESS: [libc::c_long; 3] = [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo];

/// How a call fails that is refused; with EPERM either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// By the filter alone.
    Plain,
    /// By way of a handler that notes which call it was.
    Noted,
}

impl Refusal {
    fn action(self) -> SeccompAction {
        match self {
            Self::Noted if note_refused_calls() => SeccompAction::Trap,
            Self::Noted | Self::Plain => SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        }
    }
}

/// The names of the calls that were refused and noted.
pub(in crate::isolation) fn refused() -> Vec<&'static str> {
    let mut names: Vec<&str> = refused_calls().map(name).collect();
    names.dedup();
    names
}

/// Restricts this thread and all that it starts.
pub(super) fn restrict(grants: &Grants, refusal: Refusal) -> Result<String, String> {
    restrict_self(grants, refusal).map(|()| String::new()).map_err(|error| error.to_string())
}

/// Keeps this process, and all that it starts, in the session that it is in: by that they are found and ended.
pub(super) fn keep_session(refusal: Refusal) -> Result<String, String> {
    let rules: Rules = BTreeMap::from([(libc::SYS_setsid, Vec::new())]);
    apply(rules, refusal.action()).map(|()| " (no sessions of its own)".to_owned()).map_err(|error| error.to_string())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn restrict_self(grants: &Grants, refusal: Refusal) -> Result<(), Box<dyn std::error::Error>> {
    let always = |call: &libc::c_long| (*call, Vec::new());
    let mut refused: Rules = REFUSED.iter().map(always).collect();
    #[cfg(target_arch = "x86_64")]
    refused.extend([libc::SYS_fork, libc::SYS_vfork].iter().map(always));
    // A thread is a clone that shares everything.
    let is_process = SeccompCondition::new(0, Len::Qword, Op::MaskedEq(libc::CLONE_THREAD.unsigned_abs().into()), 0)?;
    refused.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_process])?]);
    let own = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    for call in OF_OWN_PROCESS {
        let is_other = SeccompCondition::new(0, Len::Dword, Op::Ne, own)?;
        refused.insert(call, vec![SeccompRule::new(vec![is_other])?]);
    }
    let is_other = [0, own].map(|pid| SeccompCondition::new(0, Len::Dword, Op::Ne, pid));
    refused.insert(libc::SYS_prlimit64, vec![SeccompRule::new(is_other.into_iter().collect::<Result<_, _>>()?)?]);
    if !grants.net {
        // Pairs of sockets within the process are another call.
        refused.insert(libc::SYS_socket, Vec::new());
    }
    let fatal: Rules = FATAL.iter().map(always).collect();
    // Its flags lie in memory, which a filter does not see; the C library falls back to the older call.
    let absent: Rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    for (rules, action) in [
        (refused, refusal.action()),
        (absent, SeccompAction::Errno(libc::ENOSYS.unsigned_abs())),
        (fatal, SeccompAction::KillProcess),
    ] {
        apply(rules, action)?;
    }
    Ok(())
}

/// Allows what has no rule.
fn apply(rules: Rules, action: SeccompAction) -> Result<(), Box<dyn std::error::Error>> {
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)?;
    Ok(())
}

/// What a call is called that may be refused, with what it is mostly made for.
fn name(call: libc::c_long) -> &'static str {
    match call {
        libc::SYS_setsid => "setsid (a session of its own)",
        libc::SYS_execve => "execve (another program)",
        libc::SYS_execveat => "execveat (another program)",
        libc::SYS_clone => "clone (another process)",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork => "fork (another process)",
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork => "vfork (another process)",
        libc::SYS_socket => "socket (the network)",
        libc::SYS_kill => "kill (a signal to another process)",
        libc::SYS_tgkill => "tgkill (a signal to another process)",
        libc::SYS_rt_sigqueueinfo => "rt_sigqueueinfo (a signal to another process)",
        libc::SYS_pidfd_send_signal => "pidfd_send_signal",
        libc::SYS_prlimit64 => "prlimit64 (the limits of another process)",
        libc::SYS_io_uring_setup => "io_uring_setup",
        libc::SYS_userfaultfd => "userfaultfd",
        libc::SYS_add_key => "add_key",
        libc::SYS_request_key => "request_key",
        libc::SYS_keyctl => "keyctl",
        libc::SYS_shmget => "shmget (memory that outlives the process)",
        libc::SYS_semget => "semget (semaphores that outlive the process)",
        libc::SYS_msgget => "msgget (a queue that outlives the process)",
        libc::SYS_mq_open => "mq_open (a queue that outlives the process)",
        _ => "another one",
    }
}
