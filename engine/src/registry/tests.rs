//! The registry with archives of libraries made by a C compiler, a store on the disk and a listener that takes notes.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use cloacina_packager::{Input, InputLibrary, Limits};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use tempfile::TempDir;

use super::{Change, Error, Options, Package, PackageInfo, Registered, Registry, Upload};
use crate::{
    clock::{Clock, SystemClock},
    core::run::State as RunState,
    id::{RunId, WorkflowId},
    isolation::Choice,
    loader::tests::library::{CONFIG, COUNTS, ECHO, compile_described, run},
    store::{Activation, Database, Options as StoreOptions, PackageState, Store, schema},
};

/// The archive of a package with some workflows.
fn archive(name: &str, version: &str, more: &str, workflows: &[&str], defines: &[&str]) -> Vec<u8> {
    let workflow = |(index, name): (usize, &&str)| {
        let index = 7 * index;
        let tasks: Vec<_> = (0..7).map(|task| format!(r#"{{"id":"t{task}","index":{}}}"#, index + task)).collect();
        format!(r#"{{"name":"{name}","tasks":[{}]}}"#, tasks.join(","))
    };
    let workflows: Vec<_> = workflows.iter().enumerate().map(workflow).collect();
    let json = format!(
        r#"{{"format":1,"abi":"1.0","package":"{name}","version":"{version}",{more}"workflows":[{}]}}"#,
        workflows.join(",")
    );
    let library = compile_described(&json, defines);
    let library = InputLibrary { name: format!("lib{name}.so"), bytes: library.bytes() };
    cloacina_packager::write(&Input { libraries: vec![library], ..Input::default() }).unwrap()
}

fn simple(name: &str, version: &str) -> Vec<u8> {
    archive(name, version, "", &["w"], &[])
}

/// A registry on a folder, with what its listener was told.
struct Desk {
    registry: Registry,
    told: Arc<Mutex<Vec<String>>>,
    store: Store,
    folder: PathBuf,
}

impl Desk {
    async fn open(data: &TempDir) -> Self {
        let answers = Box::new(|_| {});
        let store = Store::open(StoreOptions::new(Database::Sqlite(data.path().join("test.db")), answers)).unwrap();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let notes = Arc::clone(&told);
        let folder = data.path().join("packages");
        let options = Options {
            host: None,
            isolation: Choice::default(),
            store: store.clone(),
            folder: folder.clone(),
            clock: Arc::new(SystemClock),
            init: CONFIG,
            limits: Limits::default(),
            required_default: 0,
            target: cloacina_packager::Target::host(),
            is_shared: false,
            listener: Box::new(move |change| notes.lock().unwrap().push(render(&change))),
        };
        Self { registry: Registry::open(options).await.unwrap(), told, store, folder }
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn close(self) {
        self.registry.close(Duration::ZERO);
        self.store.close();
    }

    /// Files and folders below the packages' folder.
    fn on_disk(&self) -> usize {
        match fs::read_dir(&self.folder) {
            Ok(entries) => entries.count(),
            Err(_) => 0,
        }
    }

    async fn refused(&self, upload: Upload, code: &str, expect: &str) {
        let n_before = (self.on_disk(), self.registry.list().len());
        let error = self.registry.register(upload).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().contains(expect)), (code, true), "{error}");
        assert_eq!((self.on_disk(), self.registry.list().len()), n_before, "nothing of it is left");
        assert_eq!(self.told(), [""; 0]);
    }

    /// Puts an unfinished run of a workflow into the store.
    async fn begin_run(&self, workflow: WorkflowId) -> RunId {
        let id = RunId::new(SystemClock.now());
        let insert = move |connection: &mut crate::store::Connection| {
            diesel::insert_into(schema::run::table)
                .values((
                    schema::run::id.eq(id.as_bytes().as_slice()),
                    schema::run::workflow.eq(workflow.as_bytes().as_slice()),
                    schema::run::state.eq(RunState::Running.as_str()),
                    schema::run::owner_epoch.eq(1_i64),
                    schema::run::created_at.eq(1_i64),
                ))
                .execute(connection)
        };
        self.store.write("beginning a run", insert).await.unwrap();
        id
    }

    async fn end_runs(&self) {
        let update = |connection: &mut crate::store::Connection| {
            let completed = schema::run::state.eq(RunState::Completed.as_str());
            diesel::update(schema::run::table).set(completed).execute(connection)
        };
        self.store.write("ending runs", update).await.unwrap();
    }

    /// The first workflow of a package.
    fn workflow(&self, name: &str) -> WorkflowId {
        let told = self.registry.packages();
        told.iter().find(|package| package.row.name == name).unwrap().workflows[0].id
    }
}

fn render(change: &Change) -> String {
    match change {
        Change::Added(package) => format!("added {package}"),
        Change::Activated { tenant, name, active } => {
            let version = |package: &Arc<Package>| package.row.version.clone();
            let main = active.main.as_ref().map(version);
            let sharing = active.sharing.as_ref().map(|(package, share)| format!(" {share}% {}", version(package)));
            format!(
                "activated {tenant}::{name} {}{}",
                main.unwrap_or("nothing".to_owned()),
                sharing.unwrap_or_default()
            )
        }
        Change::Quarantined(package, reason, until) => format!("quarantined {package} {reason:?} {until:?}"),
        Change::Released(package) => format!("released {package}"),
        Change::KeyExpires(at) => format!("key expires {at}"),
        Change::Withheld(package, problem) => format!("withheld {package} {}", problem.code()),
        Change::Removed(package) => format!("removed {package}"),
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn states(registry: &Registry) -> Vec<(String, PackageState)> {
    registry.list().into_iter().map(|info| (format!("{}@{}", info.name, info.version), info.state)).collect()
}

#[test]
fn a_registered_package_is_unpacked_loaded_stored_and_told_of() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let retries = archive("basic", "1.2.0", r#""author":"Ann","#, &["one", "two"], &[]);
        let registered = desk.registry.register_workflow(retries).await.unwrap();
        let Registered { tenant, package, version, workflows, digest, library, activated, is_new, warnings, .. } =
            registered;
        assert_eq!((tenant.as_str(), package.as_str(), version.as_str()), ("public", "basic", "1.2.0"));
        assert_eq!(workflows, ["public::basic::one", "public::basic::two"]);
        assert_eq!((activated, is_new, warnings.len()), (true, true, 0));
        assert_eq!(library, desk.folder.join(digest.hex()).join("libbasic.so"));
        assert!(fs::metadata(&library).unwrap().permissions().readonly());
        assert_eq!(desk.told(), ["added public::basic@1.2.0", "activated public::basic 1.2.0",]);
        let PackageInfo { record, running, author, .. } = desk.registry.get("basic").unwrap();
        let expected = (PackageState::Active, "local", Some("Ann"));
        assert_eq!((record.state, record.actor.as_str(), author.as_deref()), expected);
        assert_eq!((running.is_loaded, running.problem), (true, None));
        let packages = desk.registry.packages();
        assert_eq!(run(packages[0].library.inline(), ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
    });
}

#[test]
fn the_same_content_again_changes_nothing() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let bytes = simple("again", "1.0.0");
        let mut uploads = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (registry, bytes) = (desk.registry.clone(), bytes.clone());
            uploads.spawn(async move { registry.register_workflow(bytes).await.unwrap().is_new });
        }
        let n_new = uploads.join_all().await.into_iter().filter(|is_new| *is_new).count();
        assert_eq!((n_new, desk.registry.list().len(), desk.on_disk()), (1, 1, 1));
        // Nor does it change who registered it, and when; in memory as in the store.
        let before = desk.registry.get("again").unwrap();
        let upload = Upload { actor: "ann".to_owned(), ..Upload::new(bytes) };
        desk.registry.register(upload).await.unwrap();
        let after = desk.registry.get("again").unwrap();
        assert_eq!((after.actor.as_str(), after.registered_at), ("local", before.registered_at));
        let packages = desk.registry.packages();
        let counts = run(packages[0].library.inline(), COUNTS, "{}").1;
        assert_eq!(counts, [r#"delta {"constructed":1,"initialized":1} -[]"#]);
    });
}

#[test]
fn other_content_under_the_same_version_is_refused_with_both_digests() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let first = desk.registry.register_workflow(simple("clash", "1.0.0")).await.unwrap();
        desk.told();
        let other = archive("clash", "1.0.0", r#""author":"other","#, &["w"], &[]);
        desk.refused(Upload::new(other.clone()), "REG0001", &format!("{} is there, sha256:", first.digest)).await;
        // Another tenant may have it.
        let upload = Upload { tenant: Some("acme".to_owned()), ..Upload::new(other) };
        assert_eq!(desk.registry.register(upload).await.unwrap().workflows, ["acme::clash::w"]);
    });
}

#[test]
fn new_runs_get_what_was_registered_last() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let first = archive("swap", "1.0.0", "", &["old", "w"], &[]);
        desk.registry.register_workflow(first.clone()).await.unwrap();
        desk.told();
        desk.registry.register_workflow(simple("swap", "2.0.0")).await.unwrap();
        assert_eq!(desk.told(), ["added public::swap@2.0.0", "activated public::swap 2.0.0"]);
        use PackageState::{Active, Retired};
        assert_eq!(states(&desk.registry), [("swap@1.0.0".to_owned(), Retired), ("swap@2.0.0".to_owned(), Active)]);
        assert_eq!(desk.registry.get("swap").unwrap().version, "2.0.0");
        // The older content again is the last one now, in the place where it was.
        assert!(!desk.registry.register_workflow(first).await.unwrap().is_new);
        assert_eq!(states(&desk.registry), [("swap@1.0.0".to_owned(), Active), ("swap@2.0.0".to_owned(), Retired)]);
        assert_eq!(desk.told(), ["activated public::swap 1.0.0"]);
        // Nothing takes the place of what is removed before somebody says so.
        desk.registry.remove("swap@1.0.0", "ann").await.unwrap();
        assert_eq!(desk.told(), ["activated public::swap nothing", "removed public::swap@1.0.0"]);
        assert_eq!(states(&desk.registry), [("swap@2.0.0".to_owned(), Retired)]);
        desk.registry.remove("public::swap@2.0.0", "ann").await.unwrap();
        assert_eq!(desk.told(), ["removed public::swap@2.0.0"]);
        assert_eq!((desk.registry.list().len(), desk.on_disk()), (0, 0));
    });
}

#[test]
fn the_first_version_is_active_and_later_ones_wait() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let register = async |version: &str, activation| {
            let upload = Upload { activation, ..Upload::new(simple("waits", version)) };
            desk.registry.register(upload).await.unwrap().activated
        };
        assert!(!register("1.0.0", Activation::Later).await);
        assert!(!register("2.0.0", Activation::IfFirst).await);
        assert_eq!(desk.told(), ["added public::waits@1.0.0", "added public::waits@2.0.0"]);
        assert!(desk.registry.list().iter().all(|info| !info.running.is_loaded), "what is not activated runs no code");
        assert!(register("3.0.0", Activation::Now).await);
        use PackageState::{Active, Registered};
        let all = [("1.0.0", Registered), ("2.0.0", Registered), ("3.0.0", Active)];
        assert_eq!(states(&desk.registry), all.map(|(version, state)| (format!("waits@{version}"), state)));
        assert!(desk.registry.register(Upload::new(simple("other", "1.0.0"))).await.unwrap().activated);
    });
}

#[test]
fn what_is_quarantined_gets_no_new_runs_until_it_is_released() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let old = desk.registry.register_workflow(simple("harm", "1.0.0")).await.unwrap().digest;
        let new = desk.registry.register_workflow(simple("harm", "2.0.0")).await.unwrap().digest;
        desk.told();
        desk.registry.quarantine("public", new, "it crashed", None, "watch").await.unwrap();
        let quarantined = r#"quarantined public::harm@2.0.0 "it crashed" None"#;
        assert_eq!(desk.told(), [quarantined], "it keeps its place");
        let key = desk.registry.packages()[1].workflows[0].key.clone();
        let problem = desk.registry.refusal_of(&key).unwrap();
        assert_eq!(problem.to_string(), "public::harm@2.0.0 is quarantined: it crashed");
        assert_eq!(problem.code(), "REG0010");
        let info = desk.registry.get("harm").unwrap();
        assert_eq!((info.state, info.share), (PackageState::Quarantined, 100));

        // It is so after a restart, and nobody activates it by registering it again.
        desk.close();
        let desk = Desk::open(&data).await;
        let activated = "activated public::harm 2.0.0";
        let told = ["added public::harm@1.0.0", quarantined, "added public::harm@2.0.0", activated];
        assert_eq!(desk.told(), told);
        let upload = Upload { activation: Activation::Now, ..Upload::new(simple("harm", "2.0.0")) };
        desk.refused(upload, "REG0011", "is quarantined, so `activate` is not possible").await;

        desk.registry.release("public", new, "ann").await.unwrap();
        assert_eq!(
            (desk.told(), desk.registry.refusal_of(&key).is_none()),
            (vec!["released public::harm@2.0.0".to_owned()], true)
        );
        desk.registry.release("public", new, "ann").await.unwrap();
        assert_eq!(desk.told(), [""; 0]);

        // One that is over ends when somebody looks.
        let past = SystemClock.now();
        desk.registry.quarantine("public", old, "slow", Some(past), "watch").await.unwrap();
        assert_eq!(desk.told().len(), 1);
        desk.registry.refresh().await.unwrap();
        assert_eq!(desk.told(), ["released public::harm@1.0.0"]);
        assert_eq!(desk.registry.get("harm@1.0.0").unwrap().state, PackageState::Retired);
        let unknown = desk.registry.release("acme", new, "ann").await.unwrap_err();
        assert_eq!(unknown.code(), "REG0004");
    });
}

#[test]
fn the_tenant_is_the_uploads_and_the_packages_only_by_default() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let said = archive("said", "1.0.0", r#""tenant":"acme","#, &["w"], &[]);
        let silent = simple("silent", "1.0.0");
        let upload = |archive: &Vec<u8>, tenant: Option<&str>| Upload {
            tenant: tenant.map(str::to_owned),
            actor: "ann".to_owned(),
            ..Upload::new(archive.clone())
        };
        for (archive, tenant, expect) in [
            (&said, None, "acme"),
            (&said, Some("acme"), "acme"),
            (&silent, None, "public"),
            (&silent, Some("beta"), "beta"),
        ] {
            assert_eq!(desk.registry.register(upload(archive, tenant)).await.unwrap().tenant, expect);
        }
        desk.told();
        desk.refused(upload(&said, Some("beta")), "REG0002", r#"for the tenant "acme" and was uploaded for "beta""#)
            .await;
        desk.refused(upload(&silent, Some("a::b")), "PKG0042", "the tenant").await;
        assert_eq!(desk.registry.get("said").unwrap().actor, "ann");
    });
}

#[test]
fn what_cannot_be_used_leaves_nothing_behind() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let with = |defines: &[&str], more: &str| Upload::new(archive("broken", "1.0.0", more, &["w"], defines));
        desk.refused(Upload::new("no archive"), "PKG0001", "not a gzip file").await;
        desk.refused(with(&["INIT_FAILS=2"], ""), "LIB0010", "init answered failed").await;
        desk.refused(with(&["NULL_TABLE=1"], ""), "LIB0005", "the pointer is null").await;
        desk.refused(with(&["MINOR=9"], ""), "LIB0006", "1.9").await;
        let abort = r#""build":{"sdk":"s","compiler":"c","target":"x86_64-unknown-linux-gnu","panic":"abort"},"#;
        desk.refused(with(&[], abort), "LIB0009", "panic").await;
        let signed = Upload { signatures: vec![b"untrusted comment".to_vec()], ..with(&[], "") };
        desk.refused(signed, "SIG0004", "not a minisign signature").await;
        // The same content is welcome once it can be used; its first `init` failed above.
        assert!(desk.registry.register(with(&["INIT_FAILS=2"], "")).await.unwrap().is_new);
    });
}

#[test]
fn packages_of_an_earlier_process_are_known_and_loaded_when_needed() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        for bytes in [simple("keeps", "1.0.0"), simple("loses", "1.0.0"), simple("changes", "1.0.0")] {
            desk.registry.register_workflow(bytes).await.unwrap();
        }
        let id = desk.workflow("keeps");
        let path = |name| desk.registry.get(name).unwrap().library;
        let (loses, changes) = (path("loses"), path("changes"));
        desk.close();
        fs::remove_dir_all(loses.parent().unwrap()).unwrap();
        fs::remove_file(&changes).unwrap();
        fs::write(&changes, "something else").unwrap();

        let desk = Desk::open(&data).await;
        let names = ["keeps", "loses", "changes"];
        let told: Vec<_> = desk.told().into_iter().filter(|line| line.starts_with("activated")).collect();
        assert_eq!(told, ["changes", "keeps", "loses"].map(|name| format!("activated public::{name} 1.0.0")));
        assert_eq!(desk.workflow("keeps"), id);
        assert!(names.iter().all(|name| !desk.registry.get(name).unwrap().running.is_loaded && !loses.exists()));
        // Whatever is not there is unpacked again from the archive when it is needed; what was changed is refused.
        for package in desk.registry.packages() {
            if package.row.name == "changes" {
                assert_eq!(package.library.load().unwrap_err().code(), "LIB0002");
                continue;
            }
            assert_eq!(run(package.library.inline(), ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
        }
        assert!(loses.is_file() && fs::read(&changes).unwrap() == b"something else");
        // Registering it again puts the file back.
        desk.registry.register_workflow(simple("changes", "1.0.0")).await.unwrap();
        assert!(fs::read(&changes).unwrap().len() > 100);
    });
}

#[test]
fn what_cannot_be_unpacked_again_is_named() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        for name in ["lost", "damaged", "other"] {
            desk.registry.register_workflow(simple(name, "1.0.0")).await.unwrap();
        }
        // It is not loaded, as what is mapped once is not looked at again.
        let spoiled = Upload { activation: Activation::Later, ..Upload::new(simple("spoiled", "1.0.0")) };
        let spoiled = desk.registry.register(spoiled).await.unwrap().library;
        let digest = |name: &str| desk.registry.get(name).unwrap().archive_digest;
        let (lost, damaged, swapped) = (digest("lost"), digest("damaged"), digest("other"));
        let id = desk.workflow("lost");
        let change = move |connection: &mut crate::store::Connection| {
            use schema::archive::{bytes, digest, table};
            let other: Vec<u8> = table.filter(digest.eq(&swapped.as_bytes()[..])).select(bytes).first(connection)?;
            diesel::update(table.filter(digest.eq(&damaged.as_bytes()[..])))
                .set(bytes.eq(other))
                .execute(connection)?;
            diesel::delete(table.filter(digest.eq(&lost.as_bytes()[..]))).execute(connection)
        };
        desk.store.write("test", change).await.unwrap();
        desk.close();
        fs::remove_dir_all(data.path().join("packages")).unwrap();

        let desk = Desk::open(&data).await;
        assert_eq!(desk.workflow("lost"), id);
        let problem = desk.registry.problem("lost::w").unwrap();
        assert_eq!((problem.code(), problem.to_string().contains("public::lost@1.0.0")), ("REG0007", true));
        assert!(desk.registry.get("lost").unwrap().running.problem.unwrap().starts_with("LIB0001"));
        let load = |name: &str| {
            let packages = desk.registry.packages();
            packages.iter().find(|package| package.row.name == name).unwrap().library.load().map(drop)
        };
        assert_eq!(load("damaged").unwrap_err().code(), "REG0015");
        assert_eq!(load("other").map_err(|error| error.code()), Ok(()));
        fs::create_dir_all(spoiled.parent().unwrap()).unwrap();
        fs::write(&spoiled, "something else").unwrap();
        assert_eq!(load("spoiled").unwrap_err().code(), "LIB0002");
        // Registering again keeps the archive again.
        desk.registry.register_workflow(simple("lost", "1.0.0")).await.unwrap();
        assert!(desk.registry.problem("lost::w").is_none());
        assert_eq!(load("lost").map_err(|error| error.code()), Ok(()));
    });
}

#[test]
fn a_package_stays_while_unfinished_runs_need_it() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        let bytes = simple("needed", "1.0.0");
        desk.registry.register_workflow(bytes.clone()).await.unwrap();
        let run = desk.begin_run(desk.workflow("needed")).await;
        let acme = Upload { tenant: Some("acme".to_owned()), ..Upload::new(bytes) };
        desk.registry.register(acme).await.unwrap();
        desk.told();

        let error = desk.registry.remove("public::needed", "ann").await.unwrap_err();
        let Error::Needed { runs, .. } = &error else { panic!("{error}") };
        assert_eq!((runs.as_slice(), error.code()), ([run].as_slice(), "REG0006"));
        assert!(error.hints()[0].contains(&run.to_string()));
        assert_eq!((desk.told().len(), desk.registry.list().len()), (0, 2));

        desk.registry.remove("acme::needed", "ann").await.unwrap();
        assert_eq!(desk.on_disk(), 1, "the other tenant still has it");
        desk.end_runs().await;
        desk.registry.remove("needed", "ann").await.unwrap();
        assert_eq!((desk.on_disk(), desk.registry.list().len()), (0, 0));
    });
}

#[test]
fn a_text_means_one_package_or_is_refused_with_names() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        for (name, version, tenant) in
            [("a", "1.0.0", "public"), ("a", "2.0.0", "public"), ("b", "1.0.0", "public"), ("b", "1.0.0", "acme")]
        {
            let tenant = Some(tenant.to_owned());
            let upload = Upload { tenant, activation: Activation::Now, ..Upload::new(simple(name, version)) };
            desk.registry.register(upload).await.unwrap();
        }
        let digest = desk.registry.get("a@1.0.0").unwrap().digest;
        let check = |name: &str, expect: &str| {
            let found = match desk.registry.get(name) {
                Ok(info) => format!("{}::{}@{}", info.tenant, info.name, info.version),
                Err(error) => format!("{} {:?}", error.code(), error.hints()),
            };
            assert_eq!(found, expect, "{name}");
        };
        check("a", "public::a@2.0.0");
        check("a@1.0.0", "public::a@1.0.0");
        check("public::a@1.0.0", "public::a@1.0.0");
        check("acme::b", "acme::b@1.0.0");
        check(&digest.to_string(), "public::a@1.0.0");
        check(&digest.to_string()[..20], "public::a@1.0.0");
        check("b", r#"REG0005 ["use one of public::b@1.0.0, acme::b@1.0.0"]"#);
        let known = r#"["registered are public::a@1.0.0, public::a@2.0.0, public::b@1.0.0, acme::b@1.0.0"]"#;
        for unknown in ["c", "a@3.0.0", "acme::a", "sha256:0123456789", "::a"] {
            check(unknown, &format!("REG0004 {known}"));
        }
        check("", r#"RUN0020 ["docs/reference/limits.md lists the limits of each text"]"#);
        let short = r#"["a digest needs its first 8 digits, as in sha256:01234567"]"#;
        for short_digest in ["sha256:", &digest.to_string()[..10]] {
            check(short_digest, &format!("REG0004 {short}"));
        }
        check(&format!("sha256:{}", digest.hex().to_ascii_uppercase()), "public::a@1.0.0");
    });
}

#[test]
fn a_closed_registry_refuses_changes() {
    block_on(async {
        let data = tempfile::tempdir().unwrap();
        let desk = Desk::open(&data).await;
        desk.registry.close(Duration::ZERO);
        assert_eq!(desk.registry.register_workflow(simple("late", "1.0.0")).await.unwrap_err().code(), "REG0009");
        assert_eq!(desk.registry.remove("late", "ann").await.unwrap_err().code(), "REG0009");
        assert_eq!(desk.on_disk(), 0);
    });
}
