//! The address of the server: whether it is free, or who answers there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::check::Check;

/// A server on this machine answers sooner.
const PATIENCE: Duration = Duration::from_secs(2);

/// Enough of an answer to know a server of Cloacina by.
const ANSWER_BYTES: u64 = 4096;

pub(super) fn check(address: SocketAddr) -> Check {
    match TcpListener::bind(address) {
        Ok(_) => Check::ok("port", format!("{address} is free")),
        Err(_) if answers(address) => Check::ok("port", format!("a server of Cloacina answers at {address}")),
        Err(error) => Check::fail(
            "port",
            format!("{address} cannot be used: {error}"),
            "set another address: `--listen`, or the setting `server.listen`",
        ),
    }
}

/// Whether a server answers there that has the health of one of Cloacina.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().is_ok_and(|answer| answer.contains("\"checks\"") && answer.contains("\"database\""))
}
