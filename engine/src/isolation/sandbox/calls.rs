//! Which system calls a package may make, by seccomp filters.
//!
//! In the sandbox of a server what is not [listed](super::list) does not exist. What programs try in good faith, such as
//! starting another, fails with EPERM, and their authors read why. A call that only an attempt to escape would make ends the process
//! with SIGSYS. Some calls are allowed by their arguments, as far as these are numbers: a filter sees no memory. In the
//! sandbox of one's own packages only that is refused by which a package would get at its engine, or out of sight of it.
//! Landlock restricts files, signals and tracing.

use std::collections::BTreeMap;

use rustix::process::{getpid, getppid};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::{
    enter::Grants,
    list::{ALLOWED, ALLOWED_NET, ALLOWED_OLD, FATAL, REFUSED, REFUSED_OLD, name},
};
use crate::loader::{note_refused_calls, refused_calls};

/// Calls with a process as first argument, which must be this one.
const OF_OWN_PROCESS: [libc::c_long; 4] =
    [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo];

/// Calls with a process or thread as first argument, which must be this one; 0 stands for it.
const OF_OWN_THREAD: [libc::c_long; 6] = [
    libc::SYS_prlimit64,
    libc::SYS_get_robust_list,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];

/// Flags of a new thread that would give it name spaces of its own: for mounts, control groups, and so on.
const NAME_SPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// What may be asked of a descriptor by `fcntl`. Not: the receiver of its signals, which may be any process; leases,
/// which hold up a process that opens the file; notices of what others do; larger pipes.
const FCNTL: [libc::c_int; 21] = [
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETOWN,
    11, // F_GETSIG
    16, // F_GETOWN_EX
    libc::F_GETLEASE,
    libc::F_GETPIPE_SZ,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
    1035, // F_GET_RW_HINT
    1027, // F_DUPFD_QUERY
];

/// What may be asked of a descriptor by `ioctl`: what there is to read, whether it waits, what it is, and copies that share
/// blocks.
const IOCTL: [u64; 20] = [
    0x5401,      // TCGETS
    0x5413,      // TIOCGWINSZ
    0x540f,      // TIOCGPGRP
    0x541b,      // FIONREAD
    0x5411,      // TIOCOUTQ
    0x5421,      // FIONBIO
    0x5450,      // FIONCLEX
    0x5451,      // FIOCLEX
    0x5460,      // FIOQSIZE
    0x8905,      // SIOCATMARK
    0x8906,      // SIOCGSTAMP
    0x8910,      // SIOCGIFNAME
    0x8912,      // SIOCGIFCONF
    0x8913,      // SIOCGIFFLAGS
    0x8915,      // SIOCGIFADDR
    0x8921,      // SIOCGIFMTU
    0x8933,      // SIOCGIFINDEX
    0x4004_9409, // FICLONE
    0x4020_940d, // FICLONERANGE
    0x8008_6601, // FS_IOC_GETFLAGS
];

/// The allowed operations of `prctl`, except for hiding from the engine.
const PRCTL: [u64; 24] = [
    1,           // PR_SET_PDEATHSIG
    2,           // PR_GET_PDEATHSIG
    3,           // PR_GET_DUMPABLE
    4,           // PR_SET_DUMPABLE
    15,          // PR_SET_NAME
    16,          // PR_GET_NAME
    21,          // PR_GET_SECCOMP
    22,          // PR_SET_SECCOMP
    23,          // PR_CAPBSET_READ
    25,          // PR_GET_TSC
    26,          // PR_SET_TSC
    29,          // PR_SET_TIMERSLACK
    30,          // PR_GET_TIMERSLACK
    38,          // PR_SET_NO_NEW_PRIVS
    39,          // PR_GET_NO_NEW_PRIVS
    40,          // PR_GET_TID_ADDRESS
    41,          // PR_SET_THP_DISABLE
    42,          // PR_GET_THP_DISABLE
    50,          // PR_SVE_SET_VL
    51,          // PR_SVE_GET_VL
    52,          // PR_GET_SPECULATION_CTRL
    53,          // PR_SET_SPECULATION_CTRL
    56,          // PR_GET_TAGGED_ADDR_CTRL
    0x5356_4d41, // PR_SET_VMA
];

const SET_DUMPABLE: u64 = 4;
/// The part of a socket's type that is one.
const TYPE_MASK: u64 = 0xf;
/// The part of a mode that says what the file is.
const FORMAT_MASK: u64 = 0o170_000;

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

/// Restricts this thread, and all that it starts, to what a package may in the sandbox of a server.
pub(super) fn restrict(grants: &Grants, refusal: Refusal) -> Result<String, String> {
    restrict_self(grants, refusal).map(|()| String::new()).map_err(|error| error.to_string())
}

/// Keeps this process, and all that it starts, in the session that it is in, by which they are found and ended; in the
/// engine's sight; and off the engine, as far as numbers can tell it from others.
pub(super) fn keep_off(is_scoped: bool, refusal: Refusal) -> Result<String, String> {
    keep_self_off(is_scoped, refusal)
        .map(|()| " (no sessions of its own)".to_owned())
        .map_err(|error| error.to_string())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Failure = Box<dyn std::error::Error>;

fn keep_self_off(is_scoped: bool, refusal: Refusal) -> Result<(), Failure> {
    let own = own_pid();
    let always = [
        libc::SYS_setsid,
        libc::SYS_pidfd_getfd,
        libc::SYS_process_madvise,
        libc::SYS_process_mrelease,
        libc::SYS_kcmp,
    ];
    let mut rules: Rules = always.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_prctl, vec![hiding()?]);
    for call in [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev] {
        rules.insert(call, vec![none_of(0, &[own])?]);
    }
    for call in [libc::SYS_prlimit64, libc::SYS_get_robust_list, libc::SYS_move_pages, libc::SYS_migrate_pages] {
        rules.insert(call, vec![none_of(0, &[0, own])?]);
    }
    if !is_scoped {
        // Its threads have numbers too, which are not known beforehand: where Landlock cannot do it, this is a part.
        let engine = getppid().map_or(0, |pid| u64::from(pid.as_raw_nonzero().get().unsigned_abs()));
        let targets = [engine, (-1_i32).cast_unsigned().into()];
        for call in OF_OWN_PROCESS.into_iter().chain([libc::SYS_tkill]) {
            rules.insert(call, any_of(0, u32::MAX.into(), &targets)?);
        }
        // To attach to a process, both ways.
        rules.insert(libc::SYS_ptrace, any_of(0, u64::MAX, &[16, 0x4206])?);
    }
    apply_refusals(rules, refusal.action())
}

fn restrict_self(grants: &Grants, refusal: Refusal) -> Result<(), Failure> {
    let action = refusal.action();
    let always = |call: &libc::c_long| (*call, Vec::new());
    let net: &[libc::c_long] = if grants.net { ALLOWED_NET } else { &[] };
    let refused = REFUSED.iter().chain(REFUSED_OLD).map(|(call, _)| call);
    let mut by_list: Rules = refused.clone().map(always).collect();
    // What another filter refuses or ends passes here, or it would end as what does not exist.
    let listed = ALLOWED.iter().chain(ALLOWED_OLD).chain(net).chain(FATAL).chain(refused);
    let mut listed: Rules = listed.map(always).collect();
    if !grants.net {
        for call in ALLOWED_NET {
            listed.insert(*call, Vec::new());
            by_list.insert(*call, Vec::new());
        }
    }
    apply(listed, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()), SeccompAction::Allow)?;
    apply_refusals(by_list, action.clone())?;
    apply_refusals(by_argument(grants.net)?, action)?;
    apply_refusals(FATAL.iter().map(always).collect(), SeccompAction::KillProcess)
}

/// What is refused because of its arguments.
fn by_argument(net: bool) -> Result<Rules, Failure> {
    let own = own_pid();
    let mut rules = Rules::new();
    // A thread is a clone that shares everything.
    let mut clones = any_of(0, libc::CLONE_THREAD.unsigned_abs().into(), &[0])?;
    for flag in NAME_SPACES {
        let flag = flag.cast_unsigned().into();
        clones.extend(any_of(0, flag, &[flag])?);
    }
    rules.insert(libc::SYS_clone, clones);
    for call in OF_OWN_PROCESS {
        rules.insert(call, vec![none_of(0, &[own])?]);
    }
    for call in OF_OWN_THREAD {
        rules.insert(call, vec![none_of(0, &[0, own])?]);
    }
    // Which kind of number it is, and the number.
    for (call, kind) in [(libc::SYS_setpriority, 0), (libc::SYS_ioprio_set, 1)] {
        rules.insert(call, vec![none_of(0, &[kind])?, none_of(1, &[0, own])?]);
    }
    let mut sockets = Vec::new();
    if net {
        sockets.push(none_of(0, &[number(libc::AF_INET), number(libc::AF_INET6)])?);
        sockets.extend(other_types(&[libc::SOCK_STREAM, libc::SOCK_DGRAM])?);
    }
    rules.insert(libc::SYS_socket, sockets);
    // Datagram sockets can be connected again, to any process.
    let mut pairs = vec![none_of(0, &[number(libc::AF_UNIX)])?];
    pairs.extend(other_types(&[libc::SOCK_STREAM, libc::SOCK_SEQPACKET])?);
    rules.insert(libc::SYS_socketpair, pairs);
    let path = number(libc::O_PATH);
    rules.insert(libc::SYS_openat, any_of(2, path, &[path])?);
    let devices = [u64::from(libc::S_IFCHR), u64::from(libc::S_IFBLK)];
    rules.insert(libc::SYS_mknodat, any_of(2, FORMAT_MASK, &devices)?);
    #[cfg(target_arch = "x86_64")]
    {
        rules.insert(libc::SYS_open, any_of(1, path, &[path])?);
        rules.insert(libc::SYS_mknod, any_of(1, FORMAT_MASK, &devices)?);
    }
    rules.insert(libc::SYS_fcntl, vec![none_of(1, &FCNTL.map(number))?]);
    rules.insert(libc::SYS_ioctl, vec![none_of(1, &IOCTL)?]);
    rules.insert(libc::SYS_prctl, vec![none_of(0, &PRCTL)?, hiding()?]);
    Ok(rules)
}

/// Hiding from its engine.
fn hiding() -> Result<SeccompRule, Failure> {
    let asks = SeccompCondition::new(0, Len::Dword, Op::Eq, SET_DUMPABLE)?;
    Ok(SeccompRule::new(vec![asks, SeccompCondition::new(1, Len::Qword, Op::Ne, 1)?])?)
}

/// Sockets of other types than these.
fn other_types(types: &[libc::c_int]) -> Result<Vec<SeccompRule>, Failure> {
    let others: Vec<u64> = (0..=TYPE_MASK).filter(|other| !types.iter().any(|own| number(*own) == *other)).collect();
    any_of(1, TYPE_MASK, &others)
}

/// The argument is one of these, in the bits of the mask.
fn any_of(argument: u8, mask: u64, values: &[u64]) -> Result<Vec<SeccompRule>, Failure> {
    let rule = |value: &u64| {
        let condition = SeccompCondition::new(argument, Len::Qword, Op::MaskedEq(mask), *value)?;
        Ok(SeccompRule::new(vec![condition])?)
    };
    values.iter().map(rule).collect()
}

/// The argument, a number of 32 bits, is none of these.
fn none_of(argument: u8, values: &[u64]) -> Result<SeccompRule, Failure> {
    let conditions = values.iter().map(|value| SeccompCondition::new(argument, Len::Dword, Op::Ne, *value));
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

fn own_pid() -> u64 {
    u64::from(getpid().as_raw_nonzero().get().unsigned_abs())
}

fn number(value: libc::c_int) -> u64 {
    value.cast_unsigned().into()
}

/// Allows what has no rule.
fn apply_refusals(rules: Rules, action: SeccompAction) -> Result<(), Failure> {
    apply(rules, SeccompAction::Allow, action)
}

/// Does the one with what has no rule, the other with what has one that fits.
fn apply(rules: Rules, otherwise: SeccompAction, action: SeccompAction) -> Result<(), Failure> {
    let filter = SeccompFilter::new(rules, otherwise, action, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)?;
    Ok(())
}
