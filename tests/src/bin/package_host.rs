//! The process of a package, for engines of the tests that run packages in processes of their own.
//!
//! With a further argument `without-landlock` it is as on a system that cannot keep packages from files.

use std::{collections::BTreeMap, env, process::ExitCode};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// The call that begins it, which has this number on every machine.
const LANDLOCK_CREATE_RULESET: i64 = 444;
const ENOSYS: u32 = 38;

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "without-landlock") {
        forbid_landlock();
    }
    cloacina::package_host()
}

fn forbid_landlock() {
    let calls = BTreeMap::from([(LANDLOCK_CREATE_RULESET, Vec::new())]);
    let target = TargetArch::try_from(env::consts::ARCH).expect("a machine that has such filters");
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, SeccompAction::Errno(ENOSYS), target);
    let program = filter.and_then(BpfProgram::try_from).expect("one call and no condition");
    apply_filter(&program).expect("a system that has such filters");
}
