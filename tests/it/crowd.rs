//! Clients of an engine's socket that wait, say nothing, or send half of something: no other client is locked out by them, and they
//! cost the engine little.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::{Value, json};

use crate::steer::Place;

/// What is sent at once of an archive.
const PART_BYTES: usize = 256 << 10;

fn frame(message: &Value) -> Vec<u8> {
    let bytes = serde_json::to_vec(message).unwrap();
    [&u32::try_from(bytes.len()).unwrap().to_le_bytes(), &bytes[..]].concat()
}

/// A frame of plain bytes, up to its body.
fn head_of_bytes(n_bytes: usize) -> [u8; 4] {
    (u32::try_from(n_bytes).unwrap() | 1 << 31).to_le_bytes()
}

fn read_frame(stream: &mut UnixStream) -> Value {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn connect(place: &Place) -> UnixStream {
    UnixStream::connect(place.path().join("runs.db.sock")).unwrap()
}

/// A client that has completed the handshake, in the version of the engine.
fn greeted(place: &Place) -> UnixStream {
    let said = |protocol: u64| frame(&json!({ "protocol": protocol, "program": "test", "pid": 1 }));
    let mut stream = connect(place);
    stream.write_all(&said(0)).unwrap();
    let protocol = read_frame(&mut stream)["protocol"].as_u64().unwrap();
    let mut stream = connect(place);
    stream.write_all(&said(protocol)).unwrap();
    read_frame(&mut stream);
    stream
}

fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// What the engine has left in its folder of what clients sent.
fn incoming(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".incoming")).count()
}

#[test]
fn no_client_is_locked_out_by_clients_that_wait_say_nothing_or_send_half() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    let run = place.json(&["runs", "show", "latest"])["run"].as_str().unwrap().to_owned();
    let before = resident_mib(engine.child.id());

    let mut waiting: Vec<UnixStream> = (0..40).map(|_| greeted(&place)).collect();
    for stream in &mut waiting {
        stream.write_all(&frame(&json!({ "message": "wait", "run": run }))).unwrap();
    }
    let part = vec![7; PART_BYTES];
    let mut half_sent: Vec<UnixStream> = (0..12).map(|_| greeted(&place)).collect();
    for stream in &mut half_sent {
        for _ in 0..64 {
            stream.write_all(&head_of_bytes(PART_BYTES)).unwrap();
            stream.write_all(&part).unwrap();
        }
    }
    // A message that is long, and never whole.
    let mut half_said: Vec<UnixStream> = (0..12).map(|_| greeted(&place)).collect();
    for stream in &mut half_said {
        stream.write_all(&(512_u32 << 20).to_le_bytes()).unwrap();
        (0..64).for_each(|_| stream.write_all(&part).unwrap());
    }
    let idle: Vec<UnixStream> = (0..20).map(|_| greeted(&place)).collect();
    let silent: Vec<UnixStream> = (0..300).map(|_| connect(&place)).collect();

    for _ in 0..3 {
        let created = place.json(&["runs", "create", "--workflow", "steered::held"]);
        let created = created["run"].as_str().unwrap();
        assert_eq!(place.json(&["runs", "cancel", created])["state"], "cancelled");
    }
    let grown = resident_mib(engine.child.id()).saturating_sub(before);
    assert!(grown < 100, "{grown} MiB");
    assert_eq!(incoming(place.path()), 0);

    place.put("go");
    for stream in &mut waiting {
        let answer = read_frame(stream);
        assert_eq!((&answer["reply"], &answer["report"]["state"]), (&json!("report"), &json!("completed")), "{answer}");
    }
    drop((half_sent, half_said, idle, silent));
}

#[test]
fn an_archive_that_came_in_parts_is_registered_as_it_was_sent() {
    let place = Place::new();
    let engine = place.begin("held", "started wait");
    let archive = fs::read(place.path().join("steered.cloacina")).unwrap();
    let mut stream = greeted(&place);
    for part in archive.chunks(1000) {
        stream.write_all(&head_of_bytes(part.len())).unwrap();
        stream.write_all(part).unwrap();
    }
    let order = json!({ "command": "register", "activate": false });
    stream.write_all(&frame(&json!({ "message": "package", "order": order, "by": "ada" }))).unwrap();
    let answer = read_frame(&mut stream);
    assert_eq!(
        (&answer["answer"]["name"], &answer["answer"]["registration"]["is_new"]),
        (&json!("steered"), &json!(false)),
        "{answer}"
    );
    // A part that is longer than it may be ends the connection, with the reason.
    let mut stream = greeted(&place);
    stream.write_all(&head_of_bytes(PART_BYTES + 1)).unwrap();
    assert_eq!(read_frame(&mut stream)["refusal"]["code"], "SOC0003");
    place.put("go");
    drop(engine);
}
