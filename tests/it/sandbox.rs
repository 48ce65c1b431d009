//! What a package can do to what is not its own, in each sandbox: every system call of the kernel's table, the engine's
//! process, its socket and its files, and what must work nonetheless.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use cloacina::{Builder, RunState, Sandbox};
use cloacina_tests::{
    engine::{TestEngine, context},
    library, root,
};
use serde_json::{Map, Value, json};

use crate::isolation::host_program;

const EPERM: i64 = 1;
const ENOSYS: i64 = 38;

/// A line of a table: number, name, and what becomes of the call in that sandbox.
struct Row {
    number: i64,
    name: String,
    expected: String,
}

fn table(sandbox: Sandbox) -> Vec<Row> {
    let file = format!("tests/fixtures/probe/{}.x86_64.txt", sandbox.as_str());
    let text = fs::read_to_string(root().join(file)).unwrap();
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let [number, name, expected] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        Row { number: number.parse().unwrap(), name: name.to_owned(), expected: expected.to_owned() }
    });
    rows.collect()
}

/// An engine with that package.
struct Place {
    test: TestEngine,
    outside: PathBuf,
}

impl Place {
    async fn new(sandbox: Sandbox, has_net: bool) -> Self {
        let test = TestEngine::start_with(|builder: Builder| {
            let allowed = ["*=net".parse().unwrap()];
            builder.package_host(host_program()).sandbox(sandbox, true).allow_needs(allowed)
        })
        .await;
        let outside = test.folder.path().join("outside");
        fs::write(&outside, "not the package's").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
        test.register(&probe(test.folder.path(), &outside, sandbox, has_net)).await;
        Self { test, outside }
    }

    /// What the package says of a workflow.
    async fn says(&self, workflow: &str) -> Map<String, Value> {
        let report = self.test.run(&format!("probe::{workflow}"), json!({})).await;
        assert_eq!(report.state, RunState::Completed, "{workflow}: {report:?}");
        let Value::Object(said) = context(&report) else { panic!("{report:?}") };
        said
    }
}

fn probe(folder: &Path, outside: &Path, sandbox: Sandbox, has_net: bool) -> Vec<u8> {
    let calls = table(sandbox).into_iter().filter(|row| !matches!(row.expected.as_str(), "SIGSYS" | "untried"));
    let calls: Vec<String> = calls.map(|row| row.number.to_string()).collect();
    let needs = if has_net { r#","needs":{"net":true}"# } else { "" };
    let database = folder.join("cloacina.db").display().to_string();
    let defines = [
        ("PACKAGE", format!("{:?}", "probe")),
        ("NEEDS", format!("{needs:?}")),
        ("CALLS", calls.join(",")),
        ("OUTSIDE", format!("{outside:?}")),
        ("DATABASE", format!("{database:?}")),
        ("SOCKET", format!("{:?}", format!("{database}.sock"))),
    ];
    let defines: String = defines.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
    let code = fs::read_to_string(root().join("tests/fixtures/probe/probe.c")).unwrap();
    library::pack(&library::compile(folder, "probe", &format!("#define _GNU_SOURCE\n{defines}{code}")))
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn every_system_call_of_the_table_does_in_the_sandbox_of_a_server_what_the_list_says() {
    let place = Place::new(Sandbox::Server, false).await;
    let said = place.says("table").await;
    let mut differ = Vec::new();
    for Row { number, name, expected } in table(Sandbox::Server) {
        let found = match expected.as_str() {
            "untried" => continue,
            "SIGSYS" => {
                let report = place.test.run("probe::one", json!({"call": number})).await;
                let error = report.task("t").unwrap().error.as_ref().map(ToString::to_string).unwrap_or_default();
                // A call that ends in order, so that the package is not quarantined.
                assert_eq!(place.says("own").await["kill"], 0);
                if error.contains("SIGSYS") { "SIGSYS" } else { "passes" }
            }
            _ => match said[&number.to_string()].as_i64().unwrap() {
                EPERM => "EPERM",
                // An older kernel does not have the newest, and the answer of futex to what it does not know is this.
                ENOSYS if expected == "passes" && (number > 334 || name == "futex") => "passes",
                ENOSYS => "ENOSYS",
                _ => "passes",
            },
        };
        if found != expected {
            differ.push(format!("{number} {name} {found}"));
        }
    }
    assert!(differ.is_empty(), "these are otherwise:\n{}", differ.join("\n"));
}

#[tokio::test]
#[cfg(target_arch = "x86_64")]
async fn every_system_call_of_the_table_does_in_the_sandbox_of_ones_own_packages_what_the_list_says() {
    let place = Place::new(Sandbox::Dev, false).await;
    let said = place.says("table").await;
    let numbers = |sandbox| table(sandbox).into_iter().map(|row| (row.number, row.name)).collect::<Vec<_>>();
    assert_eq!(numbers(Sandbox::Dev), numbers(Sandbox::Server), "both tables are of every call");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut differ = Vec::new();
    for Row { number, name, expected } in table(Sandbox::Dev) {
        let found = match expected.as_str() {
            "untried" => continue,
            _ => match said[&number.to_string()].as_i64().unwrap() {
                // The kernel itself refuses it to others than root, and to root in some containers.
                EPERM if expected == "privileged" => "privileged",
                EPERM => "EPERM",
                _ if expected == "privileged" && is_root => "privileged",
                _ => "passes",
            },
        };
        if found != expected {
            differ.push(format!("{number} {name} {found}"));
        }
    }
    assert!(differ.is_empty(), "these are otherwise:\n{}", differ.join("\n"));
}

/// What fails, and how: each of these is EPERM or EACCES, but for those that are named here with what they are.
fn check(said: &Map<String, Value>, differing: &[(&str, i64)]) {
    for (what, found) in said {
        let expected = differing.iter().find(|(name, _)| name == what).map(|(_, expected)| *expected);
        let found = found.as_i64().unwrap();
        let is_right = expected.map_or(matches!(found, 1 | 13), |expected| found == expected);
        assert!(is_right, "{what}: {found} of {said:?}");
    }
}

/// What `/proc` would tell of the engine; 1 is what it tells.
const SECRETS: [&str; 10] = ["mem", "environ", "maps", "auxv", "syscall", "stack", "pagemap", "cwd", "exe", "fd/0"];

#[tokio::test]
async fn in_the_sandbox_of_a_server_nothing_is_changed_that_is_not_the_packages() {
    let nothing = SECRETS.map(|secret| (secret, 0));
    for has_net in [false, true] {
        let place = Place::new(Sandbox::Server, has_net).await;
        let before = fs::metadata(&place.outside).unwrap();
        let net = if has_net { [("inet", 0), ("inet6", 0)] } else { [("inet", 1), ("inet6", 1)] };
        // Without a file that could be opened, and without a descriptor of the engine.
        let other = [("fchmod", EPERM), ("pidfd", 0), ("pidfd_signal", EPERM), ("link", 18)];
        let mut said = place.says("others").await;
        said.append(&mut place.says("files").await);
        // Landlock says that as a move between file systems.
        for moved in ["link", "rename"] {
            assert!(matches!(said.remove(moved).unwrap().as_i64(), Some(1 | 13 | 18)), "{moved}");
        }
        check(&said, &[&nothing[..], &net, &other].concat());
        let after = fs::metadata(&place.outside).unwrap();
        assert_eq!((after.mode(), after.mtime(), after.len()), (before.mode(), before.mtime(), before.len()));
        for (what, found) in place.says("own").await {
            // Names of hosts are looked up without the network too, where the machine has a file of them.
            assert_eq!(found, 0, "{what}, with the network: {has_net}");
        }
        assert_eq!(place.says("steers").await["engine"], EPERM, "with the network: {has_net}");
    }
}

#[tokio::test]
async fn in_the_sandbox_of_ones_own_packages_the_engine_is_out_of_reach() {
    let place = Place::new(Sandbox::Dev, false).await;
    let said = place.says("others").await;
    for what in ["kill", "tgkill", "tkill", "sigqueue", "tgsigqueue", "pidfd_signal", "prlimit", "hide"] {
        assert_eq!(said[what], EPERM, "{what}: {said:?}");
    }
    // Root may look at the environment and the map of any memory (`CAP_PERFMON`), and the package has the environment anyway.
    for secret in ["mem", "syscall", "stack", "pagemap", "cwd", "exe", "fd/0"] {
        assert_eq!(said[secret], 0, "{secret}: {said:?}");
    }
    let said = place.says("traces").await;
    for what in ["vm_read", "vm_write", "seize", "getfd", "kcmp"] {
        assert_eq!(said[what], EPERM, "{what}: {said:?}");
    }
    assert_eq!((&said["kill_own_child"], &said["wait"]), (&json!(0), &json!(0)), "{said:?}");
    // It can connect, and so can what it has started and left; the engine takes nothing from them.
    for workflow in ["steers", "orphan"] {
        assert_eq!(place.says(workflow).await["engine"], -1, "{workflow}");
    }
}
