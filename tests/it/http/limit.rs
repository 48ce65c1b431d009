//! The limits of a server: requests each second, connections, and how slow a client may be.

use std::thread;

use super::{
    access::first_admin,
    client::{Answer, Served},
    raw::{Raw, is_alive},
};
use crate::{sharing::wait_until, steer::Place};

#[test]
fn a_credential_and_a_tenant_have_so_many_requests_each_second() {
    let place = Place::new();
    let arguments = ["--credential-rate", "2", "--tenant-rate", "3"];
    let (served, started) = Served::start_with_login_and(&place, &arguments);
    let admin = first_admin(&served, &started);
    admin.make("/api/v1/tenants", r#"{"name": "acme"}"#);
    let (first, second) = (admin.with_key("acme", "viewer"), admin.with_key("acme", "operator"));
    // A burst has twice the rate, and the machine may be slow.
    let answers: Vec<Answer> = (0..40).map(|_| first.ask(&["/api/v1/runs"])).collect();
    let policy = "\"credential\";q=4;w=2, \"tenant\";q=6;w=2";
    assert_eq!(answers[0].header("ratelimit-policy"), Some(policy));
    assert_eq!(answers[0].header("ratelimit"), Some("\"credential\";r=3;t=1, \"tenant\";r=5;t=1"));
    let refused = answers.iter().find(|answer| answer.status != 200).expect("forty requests are too many");
    assert_eq!((refused.status, &refused.json()["code"]), (429, &"SRV0023".into()), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.header("ratelimit").unwrap().starts_with("\"credential\";r=0;t=1"), "{refused:?}");
    assert_eq!(served.ask(&["/health"]).status, 200);
    let mut of_both = [&first, &second].into_iter().cycle().take(80).map(|client| client.ask(&["/api/v1/runs"]));
    let of_tenant = of_both.find(|answer| answer.text().contains("of this tenant"));
    let of_tenant = of_tenant.expect("both keys together are above the limit of the tenant");
    assert_eq!((of_tenant.status, of_tenant.header("retry-after")), (429, Some("1")), "{of_tenant:?}");
}

#[test]
fn one_client_too_many_is_told_so() {
    let place = Place::new();
    let served = start(&place, "2");
    let (first, _second) = (Raw::connect(&served), Raw::connect(&served));
    let refused = served.ask(&["/live"]);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"SRV0024".into()), "{refused:?}");
    assert_eq!(refused.header("connection"), Some("close"));
    drop(first);
    wait_until("the place of a client that has gone is free", || is_alive(&served));
}

#[test]
fn a_slow_client_is_given_up_and_the_others_are_answered() {
    let place = Place::new();
    let served = start(&place, "16");
    let body = "POST /auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let sends_nothing = Raw::connect(&served);
    let sends_no_whole_head = connect_and_send(&served, "GET /live HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    let sends_no_whole_body = connect_and_send(&served, &format!("{body}content-length: 99\r\n\r\n{{"));
    let sends_no_last_chunk =
        connect_and_send(&served, &format!("{body}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n"));
    let sends_no_second_request = connect_and_send(&served, "GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n");
    // The answers are larger than what the systems of both sides keep.
    let page = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let reads_nothing = connect_and_send(&served, &page.repeat(100));
    assert!(is_alive(&served));

    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(sends_nothing.rest(), ""));
        scope.spawn(|| assert_eq!(sends_no_whole_head.rest(), ""));
        for slow in [&sends_no_whole_body, &sends_no_last_chunk] {
            scope.spawn(|| {
                let answer = slow.rest();
                assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
                assert!(answer.contains("SRV0005") && answer.contains("too slowly"), "{answer}");
            });
        }
        scope.spawn(|| assert_eq!(sends_no_second_request.rest().matches("HTTP/1.1 204").count(), 1));
        scope.spawn(|| reads_nothing.wait_for_reset());
    });
    assert!(is_alive(&served));
    assert_eq!(served.end(), Some(0));
}

fn start(place: &Place, connections: &str) -> Served {
    Served::start_with_login_and(place, &["--connections", connections]).0
}

fn connect_and_send(served: &Served, bytes: &str) -> Raw {
    let raw = Raw::connect(served);
    assert!(raw.send(bytes.as_bytes()));
    raw
}
