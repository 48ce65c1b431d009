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

/// Restricts this thread and all that it starts.
pub(super) fn restrict(grants: &Grants) -> Result<String, String> {
    restrict_self(grants).map(|()| String::new()).map_err(|error| error.to_string())
}

/// Keeps this process, and all that it starts, in the session that it is in: by that they are found and ended.
pub(super) fn keep_session() -> Result<String, String> {
    let rules: Rules = BTreeMap::from([(libc::SYS_setsid, Vec::new())]);
    apply(rules, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
        .map(|()| " (no sessions of its own)".to_owned())
        .map_err(|error| error.to_string())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn restrict_self(grants: &Grants) -> Result<(), Box<dyn std::error::Error>> {
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
        (refused, SeccompAction::Errno(libc::EPERM.unsigned_abs())),
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
