//! Parts of a result, as a client asks for them that goes on with a transfer.

use serde_json::json;

use super::client::Served;
use crate::{sharing::server, steer::Place};

#[test]
fn a_result_is_transferred_in_parts_from_a_file() {
    transfers(&Place::new());
}

#[test]
fn a_result_is_transferred_in_parts_from_postgres() {
    let schema = server();
    transfers(&Place { database: schema.url().to_owned(), ..Place::new() });
}

fn transfers(place: &Place) {
    let served = Served::start(place);
    let defined = served.post("/api/v1/workflows", r#"{"name": "idle", "tasks": [{"id": "only", "uses": "noop"}]}"#);
    assert_eq!(defined.status, 201, "{defined:?}");
    let text: String = (0..20_000).map(|number| format!("{number} ")).collect();
    let run = served.submit(&json!({ "workflow": "idle", "input": { "a long/text": text } }).to_string());
    let path = format!("/api/v1/runs/{run}/context/a%20long%2Ftext");
    let whole = served.ask(&[&path]);
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("application/json")));
    assert_eq!(whole.json(), json!(text));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    // A transfer that broke off after so many bytes.
    let tag = whole.header("etag").unwrap();
    let (begin, rest) = whole.body.split_at(70_000);
    let part = served.ask(&["-r", "0-69999", &path]);
    assert_eq!((part.status, &part.body[..]), (206, begin));
    let part = served.ask(&["-r", "70000-", "-H", &format!("if-range: {tag}"), &path]);
    assert_eq!((part.status, &part.body[..]), (206, rest));
    let place = format!("bytes 70000-{}/{}", whole.body.len() - 1, whole.body.len());
    assert_eq!(part.header("content-range"), Some(&place[..]));
    let beyond = served.ask(&["-r", "1000000-", &path]);
    assert_eq!((beyond.status, beyond.json()["code"].as_str()), (416, Some("SRV0035")));
    assert_eq!(beyond.header("content-range"), Some(&format!("bytes */{}", whole.body.len())[..]));
    assert_eq!(served.ask(&["-H", &format!("if-none-match: {tag}"), &path]).status, 304);
    // Compressed, the bytes are others; a part is of the content itself.
    let part = served.ask(&["-H", "accept-encoding: gzip", "-r", "0-69999", &path]);
    assert_eq!((part.status, &part.body[..]), (206, begin));
    let packed = served.ask(&["-H", "accept-encoding: gzip", &path]);
    assert_eq!(
        (packed.header("content-encoding"), packed.header("etag")),
        (Some("gzip"), Some(&format!("W/{tag}")[..]))
    );
    assert_eq!(served.ask(&["-H", &format!("if-none-match: W/{tag}"), &path]).status, 304);
    let missing = served.ask(&[&format!("/api/v1/runs/{run}/context/missing")]);
    assert_eq!((missing.status, missing.json()["code"].as_str()), (404, Some("SRV0032")));
    // The jobs API leads to all values.
    let context = format!("/api/v1/runs/{run}/context");
    let all = served.ask(&[&context]);
    assert_eq!(all.json()["context"]["a long/text"], json!(text));
    assert_eq!(served.ask(&["-r", "-10", &context]).body, all.body[all.body.len() - 10..]);
}
