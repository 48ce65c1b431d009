//! Limits on what a package uses up, each tried by one that looks for a way around it; and that what one exhausts is not
//! another's fault.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use cloacina::{Context, HostLimits, Notice, NoticeKind, PackageState, RunState, Sandbox};
use cloacina_tests::{
    engine::{TestEngine, in_time},
    library, root,
};
use serde_json::json;

use crate::isolation::host_program;

/// MiB of memory; more than the tests themselves have.
const MEMORY_MIB: u64 = 256;

fn greedy(folder: &Path, name: &str) -> Vec<u8> {
    let code = fs::read_to_string(root().join("tests/fixtures/greedy.c")).unwrap();
    let source = format!("#define _GNU_SOURCE\n#define PACKAGE {name:?}\n{code}");
    library::pack(&library::compile(folder, name, &source))
}

async fn engine(sandbox: Sandbox) -> TestEngine {
    let limits =
        HostLimits { memory_mib: Some(MEMORY_MIB), threads: Some(100), scratch_mib: Some(32), ..HostLimits::default() };
    let test = TestEngine::start_with(|builder| {
        builder.package_host(host_program()).host_limits(limits).sandbox(sandbox, false)
    })
    .await;
    for name in ["greedy", "neighbor"] {
        test.register(&greedy(test.folder.path(), name)).await;
    }
    test
}

/// How a workflow of the package ends.
async fn ends(test: &TestEngine, workflow: &str) -> String {
    let report = test.run(&format!("greedy::{workflow}"), json!({})).await;
    assert_eq!(report.state, RunState::Failed, "{workflow}: {report:?}");
    let error = report.task("t").unwrap().error.clone().unwrap();
    // Neither the neighbor nor the package itself is any the worse for it.
    for fine in ["neighbor::fine", "greedy::fine"] {
        assert_eq!(test.run(fine, json!({})).await.state, RunState::Completed, "{workflow}");
    }
    error.to_string()
}

#[tokio::test]
async fn whatever_holds_memory_counts_against_its_limit() {
    for sandbox in [Sandbox::Dev, Sandbox::Server] {
        let test = engine(sandbox).await;
        for workflow in ["mapped", "dropped"] {
            let error = ends(&test, workflow).await;
            assert!(error.contains("at its memory limit of 256 MiB"), "{workflow}: {error}");
        }
        let error = ends(&test, "in_flight").await;
        assert!(error.contains("in unread messages"), "{error}");
    }
}

#[tokio::test]
async fn threads_have_a_limit() {
    for sandbox in [Sandbox::Dev, Sandbox::Server] {
        let error = ends(&engine(sandbox).await, "threads").await;
        assert!(error.contains("threads") && error.contains("at most 100 at a time are allowed"), "{error}");
    }
}

#[tokio::test]
async fn the_scratch_folder_has_a_limit() {
    let test = engine(Sandbox::Server).await;
    for workflow in ["files", "unnamed", "closed"] {
        let error = ends(&test, workflow).await;
        assert!(error.contains("in its scratch folder, and at most 32 MiB are allowed"), "{workflow}: {error}");
    }
    let error = ends(&test, "nested").await;
    assert!(error.contains("nests folders too deeply"), "{error}");
}

/// Not only afterwards, as in the tests of each limit: while one package holds what it may have, and beyond.
#[tokio::test]
async fn what_one_package_exhausts_is_not_counted_against_another() {
    for sandbox in [Sandbox::Dev, Sandbox::Server] {
        let test = engine(sandbox).await;
        let mut notices = test.engine.subscribe();
        let holder = test.engine.scheduler().schedule_workflow("greedy::holds", Context::new()).await.unwrap();
        let is_holding =
            |notice: Notice| matches!(notice.kind, NoticeKind::Log { message, .. } if message == "holding");
        in_time(async { while !is_holding(notices.next().await.unwrap()) {} }).await;
        let fine = async || {
            for _ in 0..8 {
                assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
            }
        };
        fine().await;
        assert_eq!(holder.report().await.unwrap().state, RunState::Running, "it keeps within its limits");
        holder.cancel("ann").await.unwrap();
        assert_eq!(in_time(holder.wait()).await.unwrap().state, RunState::Cancelled);
        for beyond in ["threads", "mapped"] {
            let beyond = format!("greedy::{beyond}");
            let (exhausted, ()) = tokio::join!(test.run(&beyond, json!({})), fine());
            assert_eq!(exhausted.state, RunState::Failed, "{beyond}: {exhausted:?}");
        }
        let neighbor = test.engine.registry().get("neighbor").unwrap();
        assert_eq!((neighbor.state, &neighbor.quarantine), (PackageState::Active, &None));
    }
}

#[tokio::test]
async fn what_a_package_does_between_its_calls_counts_too() {
    let test = engine(Sandbox::Server).await;
    assert_eq!(test.run("greedy::later", json!({})).await.state, RunState::Completed);
    let hosts = || test.engine.registry().get("greedy").unwrap().running.hosts.len();
    assert_eq!(hosts(), 1);
    in_time(async {
        while hosts() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(test.run("greedy::fine", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn what_holds_a_package_to_its_limits_is_shown() {
    for (sandbox, files) in [(Sandbox::Dev, ""), (Sandbox::Server, ", 32 MiB of files")] {
        let test = engine(sandbox).await;
        let host = test.engine.registry().get("greedy").unwrap().running.hosts[0].clone();
        let shown = |name: &str| host.in_force.iter().find(|step| step.starts_with(name));
        let watch = shown("watch (").unwrap();
        let watched = format!("watch (256 MiB of memory, 100 threads, 256 processes{files}");
        assert!(watch.starts_with(&watched), "{host:?}");
        // What the kernel enforces depends on the machine, and so does what is told.
        let group = group_of(host.pid).filter(|group| group.display().to_string().contains("/cloacina-"));
        let limit = |file: &str| fs::read_to_string(group.as_ref()?.join(file)).ok();
        let enforced = [
            (limit("memory.max").as_deref() == Some("335544320\n"), "320 MiB of memory"),
            (limit("pids.max").as_deref() == Some("101\n"), "101 threads"),
            (group.as_ref().is_some_and(|group| group.join("cgroup.kill").exists()), "ends all processes of the group"),
        ];
        for (is_enforced, said) in enforced {
            let is_said = shown("group (").is_some_and(|step| step.contains(said));
            assert_eq!(is_said, is_enforced, "{said}: {host:?}");
        }
        let is_whole = enforced.iter().all(|(is_enforced, _)| *is_enforced);
        assert_eq!(watch.contains("; not by a group: "), !is_whole, "{host:?}");
        assert!(host.missing.is_empty(), "a group is not required: {host:?}");
    }
}

/// The folder of the control group of version 2 in which a process is, if the machine has any.
fn group_of(pid: u32) -> Option<PathBuf> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).map(str::to_owned)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(Path::new(mount.split(' ').nth(4).unwrap()).join(group))
}

/// Runs a workflow with the command line, as a user other than root.
fn run_as_nobody(folder: &Path, workflow: &str, before: &[&str]) -> String {
    let program = folder.join("cloacina-ctl");
    if !program.exists() && fs::hard_link(crate::cmd::program(), &program).is_err() {
        fs::copy(crate::cmd::program(), &program).unwrap();
    }
    let mut words: Vec<&str> = before.to_vec();
    let (program, database) = (program.display().to_string(), format!("{workflow}.db"));
    words.push(&program);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["run", "greedy.cloacina", "--workflow", workflow, "--database", &database]);
    command.args(["--sandbox", "server", "--package-memory", "256", "--require-sandbox"]).current_dir(folder);
    if before.first() != Some(&"unshare") && is_root() {
        // An unused one: threads are counted for each user.
        let user = 100_000 + std::process::id();
        command.uid(user).gid(user);
    }
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").unwrap().lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.path().join("greedy.cloacina"), greedy(folder.path(), "greedy")).unwrap();
    folder
}

#[test]
fn an_engine_that_is_not_root_sees_what_its_packages_hold() {
    let folder = open_folder();
    for (workflow, expected) in [
        ("mapped", "maps a file in memory (memfd) whose descriptor it has closed"),
        ("dropped", "at its memory limit of 256 MiB"),
        ("in_flight", "in unread messages"),
        ("fine", "completed"),
    ] {
        let said = run_as_nobody(folder.path(), workflow, &[]);
        assert!(said.contains(expected), "{workflow}: {said}");
    }
}

#[test]
fn a_package_leaves_others_a_part_of_what_its_user_may_have() {
    let folder = open_folder();
    // The engine has room for itself, and one package gets half of what there is.
    let limited = ["prlimit", "--nproc=400"];
    let said = run_as_nobody(folder.path(), "threads", &limited);
    assert!(!is_root() || said.contains("at most 200 at a time are allowed"), "{said}");
    let said = run_as_nobody(folder.path(), "needs_threads", &limited);
    assert!(!is_root() || said.contains("completed"), "{said}");
}

#[test]
fn an_engine_that_sees_other_processes_than_its_own_says_so() {
    // A name space of processes whose `/proc` is still that of the one outside; others than root need one of users too.
    let user: &[&str] = if is_root() { &[] } else { &["--user", "--map-root-user"] };
    let folder = open_folder();
    let said = run_as_nobody(folder.path(), "fine", &[&["unshare", "--pid", "--fork"], user].concat());
    assert!(said.contains("ISO0006") && said.contains("`/proc` does not show the processes of this engine"), "{said}");
}
