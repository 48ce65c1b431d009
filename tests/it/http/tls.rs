//! TLS: connections are encrypted with the certificate of the files, and new ones with another certificate once the files have it.
//!
//! The tests make the certificates with openssl. The client is curl, which trusts one of them alone.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::client::Served;
use crate::{sharing::wait_until, steer::Place};

const CERTIFICATE: &str = "tls.pem";
const KEY: &str = "tls.key";

/// A certificate with its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
    /// The file of the certificate, as clients know it.
    trusted: PathBuf,
}

impl Pair {
    fn new(place: &Place, name: &str) -> Self {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        openssl.args(["-keyout", "key.pem", "-out", name]).current_dir(place.path());
        let output = openssl.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
        Self { certificate: read(name), key: read("key.pem"), trusted: place.path().join(name) }
    }

    /// Puts both into the files of the server, one after the other.
    fn put(&self, place: &Place) {
        put(&place.path().join(CERTIFICATE), &self.certificate);
        put(&place.path().join(KEY), &self.key);
    }

    /// Whether a client that trusts this certificate alone gets an answer on a new connection.
    fn is_used(&self, served: &Served) -> bool {
        let trusted = self.trusted.display().to_string();
        let output = served.curl(&["--cacert", &trusted], "/live").output().unwrap();
        String::from_utf8_lossy(&output.stdout).starts_with("HTTP/1.1 204")
    }
}

/// Replaces a file, as programs do that renew certificates.
fn put(path: &Path, text: &str) {
    let scratch = path.with_extension("new");
    fs::write(&scratch, text).unwrap();
    fs::rename(scratch, path).unwrap();
}

fn command(place: &Place, certificate: &str) -> Command {
    let serve = ["serve", "--no-login", "--listen", "127.0.0.1:0", "--output", "json"];
    place.command(&[&serve[..], &["--tls-certificate", certificate, "--tls-key", KEY]].concat())
}

#[test]
fn new_connections_get_the_certificate_that_the_files_have_now_and_open_ones_stay() {
    let place = Place::new();
    let (first, second) = (Pair::new(&place, "first.pem"), Pair::new(&place, "second.pem"));
    first.put(&place);
    let mut command = command(&place, CERTIFICATE);
    command.stderr(Stdio::piped());
    let (mut served, stderr) = Served::listen_with_notes(command);
    let mut notes = BufReader::new(stderr).lines();
    assert!(served.url.starts_with("https://"), "{}", served.url);
    assert!(first.is_used(&served) && !second.is_used(&served));
    served.trusted = Some(first.trusted.clone());
    served.register(&place.path().join("steered.cloacina"));
    let run = served.submit(r#"{"workflow": "held", "held": true}"#);
    let mut stream = served.curl(&["--no-buffer"], &format!("/api/v1/runs/{run}/stream"));
    let mut stream = stream.stdout(Stdio::piped()).spawn().unwrap();
    let mut open = BufReader::new(stream.stdout.take().unwrap());
    let mut begun = String::new();
    while !begun.contains("event: event") {
        assert!(open.read_line(&mut begun).unwrap() > 0, "{begun}");
    }

    // A file that cannot be used is told of, and changes nothing.
    put(&place.path().join(CERTIFICATE), "no certificate");
    let warning = notes.find(|line| line.as_ref().is_ok_and(|line| line.contains("SRV0025"))).unwrap().unwrap();
    assert!(warning.contains("tls.pem") && warning.contains("hint"), "{warning}");
    assert!(first.is_used(&served));

    second.put(&place);
    wait_until("the new certificate is used", || second.is_used(&served));
    assert!(!first.is_used(&served));
    served.trusted = Some(second.trusted.clone());
    assert_eq!(served.ask(&["-X", "POST", &format!("/api/v1/runs/{run}/cancel")]).status, 200);
    let mut rest = String::new();
    open.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("event: end"), "{rest}");
    assert!(stream.wait().unwrap().success());
    assert_eq!(served.end(), Some(0));
}

#[test]
fn a_client_without_encryption_gets_no_answer_and_a_page_of_the_server_itself_does() {
    let place = Place::new();
    let pair = Pair::new(&place, "first.pem");
    pair.put(&place);
    let mut served = Served::listen(command(&place, CERTIFICATE));
    served.trusted = Some(pair.trusted.clone());
    let origin = format!("origin: {}", served.url);
    assert_eq!(served.ask(&["-H", &origin, "/api/v1/runs"]).status, 200);
    assert_eq!(served.ask(&["-H", "origin: https://evil.example", "/api/v1/runs"]).status, 403);
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        assert_eq!(served.ask(&[version, "--tls-max", &version[6..], "/live"]).status, 204);
    }
    served.url = served.url.replace("https://", "http://");
    assert!(!served.curl(&[], "/live").output().unwrap().status.success());
}

#[test]
fn files_that_cannot_be_used_refuse_the_start() {
    let place = Place::new();
    Pair::new(&place, "first.pem");
    put(&place.path().join(KEY), &Pair::new(&place, "second.pem").key);
    for (certificate, said) in [
        ("missing.pem", "cannot read the certificate for TLS in missing.pem"),
        (KEY, "tls.key has no certificate in PEM"),
        ("first.pem", "the certificate in first.pem and the private key in tls.key cannot be used"),
    ] {
        let output = command(&place, certificate).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && text.contains("SRV0025") && text.contains(said), "{text}");
        assert!(text.contains("hint"), "{text}");
    }
    let half = ["serve", "--listen", "127.0.0.1:0", "--tls-key", KEY];
    assert_eq!(place.code(&half), (Some(2), "SRV0025".to_owned()));
}
