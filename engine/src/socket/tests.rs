//! The socket of an engine as clients meet it, those of good will and the others.
//!
//! Whatever a client does, the engine goes on: every case ends with a client of good will that is served.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use serde_json::{Map, json};

use super::{
    Client, Command, Error, What,
    wire::{Hello, MESSAGE_BYTES_MAX, PROTOCOL},
};
use crate::{Engine, RunState, StoreError, store::testing::TestDatabase};

async fn engine(folder: &Path) -> Engine {
    Engine::builder().database(database(folder)).start().await.unwrap()
}

fn database(folder: &Path) -> String {
    folder.join("runs.db").display().to_string()
}

fn create(n_tasks: usize) -> Command {
    let what = What::BuiltIn { name: "nightly".to_owned(), tasks: n_tasks };
    Command::Create { what, input: Map::new(), at: None, key: None, version: None }
}

/// Has a run created by a client of good will.
async fn is_served(folder: &Path) {
    let mut client = Client::connect(&database(folder)).await.unwrap().unwrap();
    let report = client.perform(create(2), "ada").await.unwrap();
    assert_eq!((report.state, report.tasks.len()), (RunState::Pending, 2));
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

fn hello(protocol: u32) -> Vec<u8> {
    frame(&serde_json::to_vec(&Hello { protocol, ..Hello::ours() }).unwrap())
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn the_socket_is_its_users_alone_and_gone_with_the_engine() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("runs.db.sock");
        // What an engine left behind that was killed.
        drop(UnixListener::bind(&socket).unwrap());
        let engine = engine(folder.path()).await;
        let found = fs::metadata(&socket).unwrap();
        assert!(found.file_type().is_socket() && found.permissions().mode() & 0o777 == 0o600);
        is_served(folder.path()).await;
        engine.shutdown().await.unwrap();
        assert!(!socket.exists());
        assert!(Client::connect(&database(folder.path())).await.unwrap().is_none());
    });
}

#[test]
fn an_engine_removes_nothing_but_sockets_and_lives_without_one() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("runs.db.sock");
        fs::write(&place, "precious").unwrap();
        let engine = engine(folder.path()).await;
        assert!(Client::connect(&database(folder.path())).await.unwrap().is_none());
        let refused = Engine::builder().database(database(folder.path())).start().await.unwrap_err();
        assert!(matches!(refused, crate::Error::Store(StoreError::Locked { .. })));
        engine.shutdown().await.unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"precious");
    });
}

#[test]
fn a_database_in_a_deep_folder_has_its_socket_elsewhere() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep".repeat(30));
        fs::create_dir(&deep).unwrap();
        let engine = engine(&deep).await;
        is_served(&deep).await;
        let place = crate::store::socket_find(&deep.join("runs.db")).unwrap();
        assert!(place.as_os_str().len() < 104 && !place.starts_with(folder.path()), "{}", place.display());
        engine.shutdown().await.unwrap();
        assert!(!place.exists());
    });
}

#[test]
fn clients_of_ill_will_cost_the_engine_nothing() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        let greeted = |more: &[u8]| [hello(PROTOCOL).as_slice(), more].concat();
        let ours = format!("\"protocol\":{PROTOCOL}");
        let huge = (MESSAGE_BYTES_MAX + 1).to_le_bytes();
        let nested = frame("[".repeat(100_000).as_bytes());
        let unknown =
            frame(json!({ "message": "do", "order": { "command": "explode" }, "by": "x" }).to_string().as_bytes());
        for (bytes, answer) in [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "SOC0003"),
            (u32::MAX.to_le_bytes().to_vec(), "SOC0003"),
            (frame(b"\xff\x00\x01"), "SOC0003"),
            (frame(b""), "SOC0003"),
            (hello(PROTOCOL + 1), ours.as_str()),
            (greeted(&huge), "SOC0003"),
            (greeted(&nested), "SOC0003"),
            (greeted(&unknown), "SOC0003"),
            (greeted(&frame(b"{\"message\":\"follow\",\"run\":\"x\"}")), "SOC0003"),
        ] {
            let mut stream = UnixStream::connect(folder.path().join("runs.db.sock")).unwrap();
            stream.write_all(&bytes).unwrap();
            // Every connection is released, some before all their bytes were read.
            let mut said = Vec::new();
            stream.read_to_end(&mut said).ok();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains(answer), "{bytes:?}: {said}");
        }
        // Those who say half of something, or nothing, or do not listen, wait alone.
        let mut others = Vec::new();
        for bytes in [Vec::new(), vec![7], greeted(&[]), greeted(&[9, 0, 0, 0, b'{']), greeted(&[0, 1])] {
            let mut stream = UnixStream::connect(folder.path().join("runs.db.sock")).unwrap();
            stream.write_all(&bytes).unwrap();
            others.push(stream);
            is_served(folder.path()).await;
        }
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn an_engine_of_another_version_is_named() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("elsewhere");
        let listener = UnixListener::bind(&socket).unwrap();
        fs::write(folder.path().join("runs.db.lock"), format!("1\n{}\n", socket.display())).unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&hello(PROTOCOL + 1)).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let refused = Client::connect(&database(folder.path())).await.unwrap_err();
        assert!(matches!(refused, Error::Version { theirs, ours: PROTOCOL, .. } if theirs == PROTOCOL + 1));
        other.join().unwrap();
    });
}

#[test]
fn an_input_may_be_as_large_as_without_a_socket() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        let mut client = Client::connect(&database(folder.path())).await.unwrap().unwrap();
        let large = json!("x".repeat(20 << 20));
        let input: Map<_, _> = [("large".to_owned(), large.clone())].into_iter().collect();
        let what = What::BuiltIn { name: "nightly".to_owned(), tasks: 1 };
        let report =
            client.perform(Command::Create { what, input, at: None, key: None, version: None }, "ada").await.unwrap();
        assert_eq!(report.context.get("large"), Some(&large));
        engine.shutdown().await.unwrap();
    });
}

#[test]
fn an_input_that_cannot_be_kept_as_it_is_written_is_refused() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path()).await;
        for (input, expected) in [
            (r#"{"a":[18446744073709551616]}"#, "the whole number 18446744073709551616 does not fit into 64 bits"),
            (r#"{"a":{"b":1,"b":2}}"#, "more than once"),
        ] {
            let order =
                format!(r#"{{"command":"create","what":{{"built_in":{{"name":"n","tasks":1}}}},"input":{input}}}"#);
            let message = format!(r#"{{"message":"do","order":{order},"by":"ada"}}"#);
            let mut stream = UnixStream::connect(folder.path().join("runs.db.sock")).unwrap();
            stream.write_all(&[hello(PROTOCOL), frame(message.as_bytes())].concat()).unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).ok();
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains("SOC0003") && said.contains(expected), "{said}");
        }
        is_served(folder.path()).await;
        engine.shutdown().await.unwrap();
    });
}

#[tokio::test]
async fn what_was_done_is_answered_from_the_store_when_the_engine_has_stopped_since() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres()] {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::builder().database(&database.address).data_dir(folder.path()).start().await.unwrap();
        let run = engine.perform(create(1), "ann").await.unwrap().id;
        let handle = engine.run(run).await.unwrap();
        handle.cancel("ann").await.unwrap();
        engine.shutdown().await.unwrap();
        let answer = engine.answer(&handle).await.unwrap();
        assert_eq!((answer.id, answer.state), (run, RunState::Cancelled));
        // A client that asks again is told what is the matter with the run, and not with the engine.
        assert_eq!(handle.cancel("ann").await.unwrap_err().code(), "RUN0012");
    }
}
