//! The files that a package may use, and the processes that it may signal and connect to, enforced by the kernel's Landlock.
//!
//! Everything is forbidden that is not named. Paths that are not there are left out. An older kernel enforces what it
//! knows of; what it does not know is named.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

use super::enter::Grants;

/// The newest of Landlock's abilities that are asked for.
const NEWEST: ABI = ABI::V6;

/// What every program may read: its libraries, the time zone, names of hosts, certificates, what the machine has.
const READABLE: [&str; 22] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/pki",
    "/proc/self",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
];

/// What every program may read and write.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Restricts this thread and all that it starts.
pub(super) fn restrict(grants: &Grants) -> Result<String, String> {
    match restrict_self(grants) {
        Ok(RulesetStatus::FullyEnforced) => Ok(String::new()),
        Ok(RulesetStatus::PartiallyEnforced) => Ok(" (in part: the kernel is too old for the rest)".to_owned()),
        Ok(RulesetStatus::NotEnforced) => Err("the kernel has none".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Keeps this thread, and all that it starts, from signalling, tracing and looking into processes other than these. Files
/// and network are left as they are.
pub(super) fn keep_off() -> Result<String, String> {
    match keep_self_off() {
        Ok(()) => Ok(String::new()),
        // Tracing alone: any domain does that. Moving files between folders must be named, or it would be forbidden.
        Err(_) => match keep_tracing_off() {
            Ok(RulesetStatus::NotEnforced) => Err("the kernel has none".to_owned()),
            Ok(_) => Ok(" (in part: the kernel is too old for the rest)".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    }
}

fn keep_self_off() -> Result<(), RulesetError> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).scope(Scope::Signal)?;
    ruleset.create()?.restrict_self().map(drop)
}

fn keep_tracing_off() -> Result<RulesetStatus, RulesetError> {
    let moving = AccessFs::Refer;
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(moving)?;
    Ok(ruleset.create()?.add_rules(path_beneath_rules(["/"], moving))?.restrict_self()?.ruleset)
}

fn restrict_self(grants: &Grants) -> Result<RulesetStatus, RulesetError> {
    let (read, all) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
    // A process that can make a device in its folder has the whole disk.
    let write = all & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?;
    if !grants.net {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let readable = READABLE.iter().map(Path::new).chain(grants.read.iter().map(PathBuf::as_path));
    let writable = DEVICES.iter().map(Path::new).chain(grants.write.iter().map(PathBuf::as_path));
    let restricted = ruleset
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(writable, write))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}
