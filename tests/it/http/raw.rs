//! A connection on which a test sends any bytes, also those that no client would send.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::Served;

/// How long a server may take to give a client up, with what a busy machine adds to that.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Raw(TcpStream);

impl Raw {
    pub(super) fn connect(served: &Served) -> Self {
        let stream = TcpStream::connect(served.url.strip_prefix("http://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Sends these bytes; false if the server closed the connection before it had taken all of them.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        match (&self.0).write_all(bytes) {
            Ok(()) => true,
            Err(error) if is_end(error.kind()) => false,
            Err(error) => panic!("the server neither reads nor closes: {error}"),
        }
    }

    /// What the server sends until it closes the connection.
    pub(super) fn rest(&self) -> String {
        let mut text = Vec::new();
        match (&self.0).read_to_end(&mut text) {
            Err(error) if !is_end(error.kind()) => panic!("the server does not close the connection: {error}"),
            Ok(_) | Err(_) => String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// Asks whether the server lives, on this connection, which goes on.
    pub(super) fn ask_live(&self) {
        assert!(self.send(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n"), "the server closed the connection");
        let (mut head, mut part) = (Vec::new(), [0; 4096]);
        while !head.ends_with(b"\r\n\r\n") {
            let n_bytes = (&self.0).read(&mut part).unwrap();
            assert!(n_bytes > 0, "the server closed the connection: {}", String::from_utf8_lossy(&head));
            head.extend_from_slice(&part[..n_bytes]);
        }
        assert!(head.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&head));
    }

    /// Reads up to this text, which the server sends at some time, and what came with it.
    pub(super) fn wait_for(&self, text: &str) {
        let (mut read, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&read).contains(text) {
            let n_bytes = (&self.0).read(&mut part).unwrap();
            assert!(n_bytes > 0, "the server closed the connection: {}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&part[..n_bytes]);
        }
    }

    /// What the server answers to these bytes until it closes the connection.
    pub(super) fn exchange(served: &Served, bytes: &[u8]) -> String {
        let raw = Self::connect(served);
        raw.send(bytes);
        raw.rest()
    }

    /// Waits until the server breaks the connection off, and reads nothing of what it sent.
    pub(super) fn wait_for_reset(&self) {
        // The system always tells of errors and of the end.
        let mut watched = [PollFd::new(&self.0, PollFlags::empty())];
        let patience = Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut watched, Some(&patience)), Ok(1), "the server goes on with a client that reads nothing");
    }
}

/// Whether the server answers a client, which connects for that.
pub(super) fn is_alive(served: &Served) -> bool {
    let request = b"GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    Raw::exchange(served, request).starts_with("HTTP/1.1 204")
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
