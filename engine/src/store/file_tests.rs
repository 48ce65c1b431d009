//! The file of a database: its names, its locks, and what becomes of it.
//!
//! Whichever name an engine is given, it is the same database and has one engine. The file alone is the database once a
//! store was closed; one of another program is left alone, and nothing is acknowledged into one that was removed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use diesel::{
    Connection as _, QueryableByName, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query,
    sql_types::Text,
};

use super::{
    Connection, Database, Error, JobResult, Options, Store, View,
    file::{beside, resolve},
    run_get, socket_find,
    testing::TestDatabase,
    tests::{Fixture, names, now},
};
use crate::id::RunId;

fn open(path: &Path) -> Result<Store, Error> {
    Store::open(Options::new(Database::Sqlite(path.to_owned()), Box::new(|_| {})))
}

/// Other names of the file `runs.db` in that folder that lead to it and are resolved to its own.
fn aliases(folder: &Path) -> Vec<PathBuf> {
    let inner = folder.join("inner");
    fs::create_dir(&inner).unwrap();
    symlink(folder.join("runs.db"), folder.join("absolute.db")).unwrap();
    symlink("runs.db", folder.join("relative.db")).unwrap();
    symlink("relative.db", folder.join("chain.db")).unwrap();
    symlink("../absolute.db", inner.join("up.db")).unwrap();
    symlink(folder, folder.join("itself")).unwrap();
    let written = |text: String| PathBuf::from(text);
    vec![
        folder.join("absolute.db"),
        folder.join("relative.db"),
        folder.join("chain.db"),
        inner.join("up.db"),
        folder.join("itself/runs.db"),
        folder.join("itself/itself/chain.db"),
        written(format!("{}/inner/../runs.db", folder.display())),
        written(format!("{}/./runs.db", folder.display())),
        written(format!("//{}//runs.db", folder.display())),
    ]
}

#[test]
fn every_name_of_a_file_is_of_one_database_with_one_engine() {
    let fixture = Fixture::new(TestDatabase::sqlite());
    let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
    let path = path.clone();
    fixture.store.note_socket(Path::new("/somewhere/else.sock")).unwrap();
    let folder = path.parent().unwrap();
    let aliases = aliases(folder);
    let n_files = || fs::read_dir(folder).unwrap().count();
    let n_before = n_files();
    for alias in &aliases {
        let error = open(alias).unwrap_err();
        let pid = std::process::id();
        assert!(matches!(&error, Error::Locked { pid: Some(found), .. } if *found == pid), "{alias:?}: {error:?}");
        assert_eq!(socket_find(alias), Some("/somewhere/else.sock".into()), "{alias:?}");
        let mut view = View::open(&Database::Sqlite(alias.clone())).unwrap();
        assert_eq!(view.engine_find().unwrap(), Some(Some(pid)), "{alias:?}");
        assert_eq!(resolve(alias).unwrap(), path.canonicalize().unwrap());
    }
    assert_eq!(n_files(), n_before, "something was made beside another name");
    fixture.store.close();
    for alias in &aliases {
        let store = open(alias).unwrap();
        assert!(matches!(open(&path), Err(Error::Locked { .. })), "{alias:?}");
        store.close();
    }
}

#[test]
fn a_hard_link_is_the_same_file_and_no_name_hides_its_log() {
    let fixture = Fixture::new(TestDatabase::sqlite());
    let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
    let (path, link) = (path.clone(), path.with_file_name("link.db"));
    fs::hard_link(&path, &link).unwrap();
    assert!(matches!(open(&link), Err(Error::Locked { pid: Some(_), .. })));
    assert!(View::open(&Database::Sqlite(link.clone())).is_err_and(|error| error.code() == "STO0015"));
    assert_eq!(
        View::open(&Database::Sqlite(path.clone())).unwrap().engine_find().unwrap(),
        Some(Some(std::process::id()))
    );
    fixture.store.close();
    // Without a log each name shows all there is; with one only its own.
    open(&link).unwrap().close();
    fs::write(path.with_file_name("runs.db-wal"), "what a crash left").unwrap();
    assert_eq!(open(&link).unwrap_err().code(), "STO0015");
    fs::remove_file(path.with_file_name("runs.db-wal")).unwrap();
    // A name that cannot be seen may have one.
    let elsewhere = path.with_file_name("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&link, elsewhere.join("link.db")).unwrap();
    assert_eq!(open(&path).unwrap_err().code(), "STO0015");
    fs::remove_file(elsewhere.join("link.db")).unwrap();
    open(&path).unwrap().close();
}

#[test]
fn a_link_to_a_file_that_is_not_there_makes_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let (link, target) = (folder.path().join("link.db"), folder.path().join("runs.db"));
    symlink("runs.db", &link).unwrap();
    let store = open(&link).unwrap();
    assert!(target.is_file() && folder.path().join("runs.db.lock").is_file());
    assert!(matches!(open(&target), Err(Error::Locked { .. })));
    store.close();
    for name in ["new.db/", "new.db/.", "..", "itself/new.db"] {
        let path = PathBuf::from(format!("{}/{name}", folder.path().display()));
        if name.starts_with("itself") {
            symlink("itself", folder.path().join("itself")).unwrap();
        }
        assert!(open(&path).is_err_and(|error| ["STO0002", "STO0003"].contains(&error.code())), "{name}");
    }
}

/// Record locks of a process on a file are gone when it closes any descriptor of the file; then another program, here
/// the shell of SQLite, would take itself for the last and remove the write-ahead log that the engine writes to.
#[test]
fn looking_at_a_database_leaves_the_locks_of_its_engine_alone() {
    #[derive(QueryableByName)]
    struct Mode {
        #[diesel(sql_type = Text)]
        journal_mode: String,
    }
    let fixture = Fixture::new(TestDatabase::sqlite());
    let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
    let locks = || {
        let inode = std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let pid = std::process::id().to_string();
        let of_this =
            |line: &&str| line.contains("POSIX") && line.contains(&format!(":{inode} ")) && line.contains(&pid);
        locks.lines().filter(of_this).count()
    };
    let n_before = locks();
    assert!(n_before > 0);
    let mut view = View::open(&fixture.database.database).unwrap();
    let Some(Connection::Sqlite(connection)) = &mut view.reader.connection else { unreachable!() };
    let mode: Mode = sql_query("PRAGMA journal_mode").get_result(connection).unwrap();
    assert_eq!(mode.journal_mode, "wal");
    drop(view);
    assert_eq!(locks(), n_before);
    open(path).unwrap_err();
    assert_eq!(locks(), n_before);
    // And the other way round: the engine ends, and the view goes on.
    let view = View::open(&fixture.database.database).unwrap();
    fixture.store.close();
    assert!(locks() > 0);
    drop(view);
}

#[test]
fn a_store_that_was_closed_is_in_its_one_file() {
    let mut fixture = Fixture::new(TestDatabase::sqlite());
    for n_closed in 1..=50 {
        let run = RunId::new(now());
        fixture.commit(vec![fixture.create(run)]);
        // The readers and the writer have something to do until the end.
        for _ in 0..4 {
            fixture.store.read_detached("test", move |connection| run_get(connection, run), drop).unwrap();
        }
        let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
        let path = path.clone();
        fixture.store.close();
        for ending in ["-wal", "-shm"] {
            assert!(!beside(&path, ending).exists(), "{ending} is there after {n_closed} stores");
        }
        let copy = path.with_file_name("copy.db");
        fs::copy(&path, &copy).unwrap();
        let mut view = View::open(&Database::Sqlite(copy)).unwrap();
        assert!(view.read("test", |view| run_get(view, run)).unwrap().is_some());
        drop(view);
        fixture = fixture.reopen();
        fixture.epoch = fixture.begin();
    }
}

/// Another program that reads to the end of a store keeps the write-ahead log there, and empty.
#[test]
fn a_store_that_closes_beside_a_reader_leaves_nothing_in_the_log() {
    let fixture = Fixture::new(TestDatabase::sqlite());
    let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
    fixture.commit(vec![fixture.create(RunId::new(now()))]);
    let view = View::open(&fixture.database.database).unwrap();
    fixture.store.close();
    assert_eq!(beside(path, "-wal").metadata().unwrap().len(), 0);
    drop(view);
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_was_removed_or_replaced() {
    for ending in ["", "-wal", "-shm"] {
        for is_replaced in [false, true] {
            let fixture = Fixture::new(TestDatabase::sqlite());
            let Database::Sqlite(path) = &fixture.database.database else { unreachable!() };
            let (path, away) = (beside(path, ending), path.with_file_name("away"));
            assert_eq!(names(&fixture.commit(vec![fixture.create(RunId::new(now()))])), ["Committed"]);
            fs::rename(&path, &away).unwrap();
            if is_replaced {
                fs::copy(&away, &path).unwrap();
            }
            // The refusal is what the next change meets, and each one after it, commits and others.
            for _ in 0..2 {
                let outcomes =
                    fixture.commit(vec![fixture.create(RunId::new(now())), fixture.create(RunId::new(now()))]);
                assert_eq!(names(&outcomes), ["STO0017", "STO0017"], "{path:?}");
                let changed = fixture.store.write_blocking("test", |_| JobResult::Ok(()));
                assert_eq!(changed.unwrap_err().code(), "STO0017", "{path:?}");
            }
            fs::rename(&away, &path).unwrap();
            assert_eq!(names(&fixture.commit(vec![fixture.create(RunId::new(now()))])), ["Committed"]);
            fixture.store.close();
        }
    }
}

#[test]
fn a_file_of_another_program_is_left_as_it_is_and_an_old_one_of_ours_gets_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let execute = |statements: &str| {
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        connection.batch_execute(statements).unwrap();
    };
    for statements in [
        "CREATE TABLE bookmark (url TEXT)",
        "CREATE TABLE __diesel_schema_migrations (version TEXT); CREATE TABLE run (id INTEGER)",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 7; CREATE TABLE run (id INTEGER)",
    ] {
        execute(statements);
        let before = fs::read(&path).unwrap();
        assert_eq!(open(&path).unwrap_err().code(), "STO0018", "{statements}");
        assert!(View::open(&Database::Sqlite(path.clone())).is_err_and(|error| error.code() == "STO0018"));
        assert!(fs::read(&path).unwrap() == before, "{statements}: the file was changed");
        fs::remove_file(&path).unwrap();
    }
    let number = || i32::from_be_bytes(fs::read(&path).unwrap()[68..72].try_into().unwrap());
    // One without tables is as good as new.
    execute("CREATE TABLE gone (id INTEGER); DROP TABLE gone");
    open(&path).unwrap().close();
    assert_eq!(number(), 0x436c_636e);
    execute("PRAGMA application_id = 0");
    drop(View::open(&Database::Sqlite(path.clone())).unwrap());
    assert_eq!(number(), 0);
    open(&path).unwrap().close();
    assert_eq!(number(), 0x436c_636e);
}
