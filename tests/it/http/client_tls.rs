//! The Rust client and the command line over TLS: an authority of one's own is trusted if it is named, and nothing else is.
//!
//! The tests make an authority and the certificate of a server with openssl.

use std::{fs, path::Path, process::Command};

use cloacina::Class;
use cloacina_client::{Client, Options};

use super::client::Served;
use crate::steer::Place;

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority in `ca.pem`, and a certificate of it for this machine in `tls.pem` with its key in `tls.key`.
fn certificates(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {KEY} -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(folder, &format!("req {KEY} -subj /CN=localhost -keyout tls.key -out tls.csr"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
    openssl(folder, "x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out tls.pem");
}

#[tokio::test]
async fn a_server_is_trusted_if_its_authority_is_named() {
    let place = Place::new();
    certificates(place.path());
    let serve = ["serve", "--no-login", "--listen", "127.0.0.1:0", "--output", "json"];
    let tls = ["--quiet", "--tls-certificate", "tls.pem", "--tls-key", "tls.key"];
    let served = Served::listen(place.command(&[&serve[..], &tls].concat()));
    assert!(served.url.starts_with("https://"), "{}", served.url);
    let client = |ca_file: Option<&str>| {
        let ca_file = ca_file.map(|name| place.path().join(name));
        Client::new(&served.url, Options { ca_file, ..Options::default() })
    };
    assert_eq!(client(Some("ca.pem")).unwrap().health().await.unwrap().status, "ok");
    for (file, code) in [("tls.key", "CLN0007"), ("missing.pem", "CLN0007")] {
        assert_eq!(client(Some(file)).unwrap_err().code(), code, "{file}");
    }
    openssl(
        place.path(),
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=other -keyout other.key -out other.pem",
    );
    let distrusted = client(Some("other.pem")).unwrap().health().await.unwrap_err();
    assert_eq!((distrusted.code(), distrusted.class()), ("CLN0008", Class::Denied), "{distrusted:?}");

    let listed = ["runs", "list", "--server", &served.url, "--ca-file", "ca.pem"];
    assert_eq!(place.json(&listed)["runs"], cloacina::Value::Array(Vec::new()));
    let output = place.command(&listed[..4]).env("CLOACINA_CA_FILE", "other.pem").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && said.contains("CLN0008") && said.contains("--ca-file"), "{said}");
    assert_eq!(served.end(), Some(0));
}
