//! The file of a database as other processes meet it: its names and its one engine.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::CommandExt,
    },
    process::{Command, Output, Stdio},
};

use crate::{cmd::program, steer::Place};

#[test]
fn no_name_of_a_database_gets_a_second_engine_while_one_lives() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    symlink("runs.db", place.path().join("link.db")).unwrap();
    fs::create_dir(place.path().join("inner")).unwrap();
    symlink("../link.db", place.path().join("inner/up.db")).unwrap();
    fs::hard_link(place.path().join("runs.db"), place.path().join("hard.db")).unwrap();
    let absolute = place.path().join("runs.db").display().to_string();
    let addresses = [absolute.as_str(), "sqlite:runs.db", "sqlite://runs.db", "link.db", "sqlite:link.db"];
    let others = ["inner/up.db", "./inner/../runs.db", "inner//..//link.db"];
    for address in addresses.into_iter().chain(others) {
        let why = place.json(&["runs", "why", "latest", "--database", address]);
        assert_eq!(why["engine"]["pid"], engine.pid(), "{address}");
        // Through the socket of the running engine.
        let created = place.json(&["runs", "create", "--name", "x", "--tasks", "1", "--database", address]);
        place.json(&["runs", "cancel", created["run"].as_str().unwrap(), "--database", address]);
    }
    for (address, code) in [
        ("file:runs.db", "STO0004"),
        ("file:runs.db?mode=rw", "STO0004"),
        ("sqlite:file:runs.db", "STO0004"),
        ("sqlite:runs.db?mode=rwc", "STO0004"),
    ] {
        for command in [
            &["run", "steered.cloacina", "--workflow", "held"][..],
            &["runs", "list"],
            &["runs", "create", "--name", "x"],
        ] {
            let arguments = [command, &["--database", address]].concat();
            assert_eq!(place.code(&arguments).1, code, "{arguments:?}");
        }
    }
    let mut hard = vec!["run", "steered.cloacina", "--workflow", "held", "--database", "hard.db"];
    assert_eq!(place.code(&hard).1, "STO0001");
    hard.splice(0..4, ["runs", "list"]);
    assert_eq!(place.code(&hard).1, "STO0015");
    assert_eq!(place.states(place.json(&["runs", "show", "latest"])["run"].as_str().unwrap()), "cancelled: cancelled");
    drop(engine);
}

#[test]
fn a_file_that_is_mounted_by_itself_is_not_opened_under_that_name() {
    let place = Place::new();
    let created = place.json(&["runs", "create", "--name", "x", "--tasks", "1"]);
    assert_eq!(created["state"], "pending");
    fs::write(place.path().join("mounted.db"), "").unwrap();
    fs::create_dir(place.path().join("folder")).unwrap();
    let program = program().display().to_string();
    let script = "mount --bind runs.db mounted.db && mount --bind . folder || exit 99; \
        $CTL runs list --database mounted.db; $CTL runs create --name x --tasks 1 --database mounted.db; \
        $CTL runs list --database folder/runs.db --output json";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script]).env("CTL", program).current_dir(place.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("error[STO0015]").count(), 2, "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(created["run"].as_str().unwrap()), "{said}");
}

#[test]
fn commands_at_one_moment_wait_for_each_other() {
    let place = Place::new();
    let create = ["runs", "create", "--name", "x", "--tasks", "1"];
    place.json(&create);
    // Those that look close the file as well, and the last of several that close has it alone for a moment.
    let commands: Vec<_> = [&create[..], &["runs", "list"], &["workflow", "list"]].repeat(6);
    let start =
        |arguments: &&[&str]| place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let commands: Vec<_> = commands.iter().map(start).collect();
    for command in commands {
        let output = command.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(place.json(&["runs", "list"])["runs"].as_array().unwrap().len(), 7);
}

#[test]
fn an_engine_that_ends_is_outlasted() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    let mut waiting = place.spawn(&["runs", "watch", "latest"], "run_started");
    place.put("go");
    waiting.wait();
    // The engine was there for that run, and is about to close.
    let created = place.json(&["runs", "create", "--name", "x", "--tasks", "1"]);
    assert_eq!(created["state"], "pending");
    assert_eq!(engine.end(), Some(0));
}

#[test]
fn an_engine_that_stays_and_has_no_socket_is_waited_for_and_then_named() {
    let place = Place::new();
    let database = place.path().join("runs.db").display().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let engine = runtime.block_on(cloacina::Engine::builder().database(&database).socket(false).start()).unwrap();
    let output = place.output(&["runs", "create", "--name", "x", "--tasks", "1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["waiting up to 5 s for another engine to end", "error[STO0001]", &std::process::id().to_string()] {
        assert!(said.contains(part), "{part}: {said}");
    }
    runtime.block_on(engine.shutdown()).unwrap();
}

#[test]
fn a_living_engine_refuses_what_it_cannot_store_any_more() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    for ending in ["", "-wal", "-shm"] {
        fs::rename(place.path().join(format!("runs.db{ending}")), place.path().join(format!("away.db{ending}")))
            .unwrap();
    }
    let create = ["runs", "create", "--name", "x", "--tasks", "1"];
    assert_eq!(place.code(&create), (Some(4), "STO0017".to_owned()));
    engine.hear("was removed or replaced while an engine drives the database");
    assert_eq!(place.code(&create), (Some(4), "STO0017".to_owned()));
    for ending in ["", "-wal", "-shm"] {
        fs::rename(place.path().join(format!("away.db{ending}")), place.path().join(format!("runs.db{ending}")))
            .unwrap();
    }
    assert_eq!(place.json(&create)["state"], "pending");
}

/// As a user that may read and not write; root becomes another user for that.
fn stranger(place: &Place, arguments: &[&str]) -> Output {
    let mut command = Command::new(place.path().join("ctl"));
    command.current_dir("/").args(arguments).arg("--database").arg(place.path().join("runs.db"));
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    command.output().unwrap()
}

#[test]
fn another_user_can_look_at_a_database_that_only_its_owner_writes() {
    let place = Place::new();
    let looks = |what: &str| {
        for arguments in
            [&["runs", "list"][..], &["runs", "show", "latest"], &["runs", "why", "latest"], &["package", "list"]]
        {
            let output = stranger(&place, arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{what} {arguments:?}: {said}");
        }
        let output = stranger(&place, &["runs", "create", "--name", "x", "--tasks", "1", "--output", "json"]);
        assert!(!output.status.success(), "{what}");
    };
    let permit = |mode| fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
    fs::copy(program(), place.path().join("ctl")).unwrap();
    let engine = place.begin("held", "started wait");
    permit(0o555);
    looks("beside a running engine");
    permit(0o755);
    // As a crash leaves it.
    drop(engine);
    permit(0o555);
    looks("after a crash");
    permit(0o755);
    place.json(&["runs", "cancel", "latest"]);
    permit(0o555);
    looks("without an engine");
    permit(0o755);
    assert_eq!(place.json(&["runs", "show", "latest"])["state"], "cancelled");
}

/// The user is one that has no other processes, where the test may choose one; the limit counts all of a user's.
#[test]
fn too_few_threads_are_a_coded_error_and_neither_a_panic_nor_a_hang() {
    let place = Place::new();
    fs::copy(program(), place.path().join("ctl")).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let enough = 64 + std::thread::available_parallelism().unwrap().get();
    let create = |n_threads: usize| {
        let script =
            format!("ulimit -u {n_threads} && exec timeout 60 ./ctl runs create --name x --tasks 1 --database few.db");
        let mut command = Command::new("bash");
        command.args(["-c", &script]).current_dir(place.path());
        if is_root {
            command.uid(54_321).gid(54_321);
        }
        command.output().unwrap()
    };
    let mut n_refused = 0;
    for n_threads in (2..24).chain([enough]) {
        let output = create(n_threads);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_coded = output.status.code() == Some(4)
            && ["error[RUN0011]", "error[STO0012]"].iter().any(|code| said.contains(code));
        // The shell itself may not get as far as that.
        let is_of_the_shell =
            said.contains("Resource temporarily unavailable") && !said.contains("panicked") && !said.contains("error[");
        assert!(output.status.success() || is_coded || is_of_the_shell, "{n_threads}: {:?} {said}", output.status);
        n_refused += usize::from(is_coded);
    }
    assert!(n_refused > 0);
    assert!(!is_root || create(enough).status.success());
}

#[test]
fn no_program_that_ended_leaves_anything_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("runs.db"), folder.path().join("copy.db"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for n_runs in 1..=40 {
        runtime.block_on(async {
            let engine = cloacina::Engine::builder().database(path.display().to_string()).start().await.unwrap();
            let workflow = engine.built_in("small", 2, None).await.unwrap();
            let context = cloacina::Context::new();
            let run = engine.scheduler().schedule_workflow(&workflow, context).await.unwrap();
            run.wait().await.unwrap();
            // In order, or as a program does that forgets to.
            if n_runs % 2 == 0 {
                engine.shutdown().await.unwrap();
            }
        });
        let log = path.with_file_name("runs.db-wal");
        assert!(!log.exists(), "after {n_runs} programs the log has {} bytes", log.metadata().unwrap().len());
        fs::copy(&path, &copy).unwrap();
        let runs =
            cloacina::Records::open(&copy.display().to_string()).unwrap().runs(&cloacina::RunFilter::default(), 100);
        assert_eq!(runs.unwrap().len(), n_runs);
    }
}

#[test]
fn a_backup_beside_a_living_engine_is_whole_and_replaces_nothing() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    let created = place.json(&["runs", "create", "--name", "x", "--tasks", "1"]);
    let made = place.json(&["backup", "copy.db"]);
    assert_eq!((&made["runs"], &made["verified"]), (&2.into(), &true.into()));
    let copied = fs::read(place.path().join("copy.db")).unwrap();
    for (file, status) in [("copy.db", 3), ("runs.db", 3), ("no/folder.db", 4), ("steered.cloacina", 3)] {
        assert_eq!(place.code(&["backup", file]), (Some(status), "STO0016".to_owned()), "{file}");
    }
    assert!(fs::read(place.path().join("copy.db")).unwrap() == copied);
    let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let beside: Vec<String> = names.filter(|name| name.contains("partial") || name.starts_with("copy.db-")).collect();
    assert!(beside.is_empty(), "{beside:?}");
    // The copy is a database of its own, with the run, which no engine drives there.
    let shown = place.json(&["runs", "show", created["run"].as_str().unwrap(), "--database", "copy.db"]);
    assert_eq!(shown["state"], "pending");
    place.put("go");
    assert_eq!(engine.end(), Some(0));
    assert_eq!(place.json(&["runs", "execute", "latest", "--database", "copy.db"])["state"], "completed");
}
