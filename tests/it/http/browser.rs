//! What browsers are told: which sites may read answers, and what pages may do.
//!
//! The client is curl, which sends what a browser would.

use super::{
    client::{Answer, Served},
    raw::is_alive,
};
use crate::steer::Place;

const UI: &str = "origin: https://ui.example";

/// The question of a browser before it sends a request of a page of another site.
fn preflight(served: &Served, origin: &str) -> Answer {
    let asked = ["-H", origin, "-H", "access-control-request-method: POST", "-X", "OPTIONS", "/api/v1/runs"];
    served.ask(&asked)
}

#[test]
fn no_other_site_may_read_answers_unless_it_is_named() {
    let place = Place::new();
    let (served, _) = Served::start_with_login_and(&place, &[]);
    assert_eq!(preflight(&served, UI).status, 405);
    for answer in [preflight(&served, UI), served.ask(&["-H", UI, "/health"])] {
        assert!(!answer.head.to_lowercase().contains("access-control"), "{answer:?}");
    }
    drop(served);

    let (served, _) = Served::start_with_login_and(&place, &["--cors-origin", "https://ui.example"]);
    let asked = preflight(&served, UI);
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, Some("https://ui.example")));
    assert!(asked.header("access-control-allow-headers").unwrap().contains("authorization"), "{asked:?}");
    assert_eq!(asked.header("access-control-allow-credentials"), None);
    let refused = served.ask(&["-H", UI, "/api/v1/runs"]);
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some("https://ui.example")));
    for origin in ["origin: https://evil.example", "origin: http://ui.example", "origin: null"] {
        for answer in [preflight(&served, origin), served.ask(&["-H", origin, "/health"])] {
            assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
        }
    }
    assert!(is_alive(&served));
}

#[test]
fn a_text_that_names_no_site_refuses_the_start() {
    let place = Place::new();
    for origin in ["*", "ui.example", "https://ui.example/"] {
        let output = place.output(&["serve", "--listen", "127.0.0.1:0", "--cors-origin", origin]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("https://ui.example.com"), "{said}");
    }
}

#[test]
fn every_answer_has_the_headers_that_keep_browsers_careful() {
    let place = Place::new();
    let (served, _) = Served::start_with_login_and(&place, &[]);
    for path in ["/health", "/live", "/api/v1/runs", "/nothing", "/openapi.json", "/swagger-ui/", "/errors/RUN0004"] {
        let answer = served.ask(&[path]);
        let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{path} has no {name}: {answer:?}"));
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(header("content-security-policy").contains("default-src 'self'"), "{path}");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert!(!header("cache-control").is_empty() && !header("x-request-id").is_empty(), "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
    }
}
