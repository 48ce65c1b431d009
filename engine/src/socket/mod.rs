//! The living engine's Unix socket: how another process asks the one engine of a SQLite file for something.
//!
//! ```text
//!   Client ──hello──▶ connection ◀──hello── Client          one thread, one small runtime, no timer while idle
//!          ──command─▶    │ perform ──▶ the engine's own handles
//!          ◀─report / refusal                               (a refusal keeps code, message, causes and hints)
//!          ──follow──▶    │ signals wake, the history is read ──▶ events pushed until the run has ended
//! ```
//! - **Same answers.** What can be asked is a [`Command`], and [`Engine::perform`](crate::Engine::perform) does it,
//!   whether it comes from this process or through the socket.
//! - **Only for its user.** The socket has mode 0600, and both sides look who the other is: the same user, or root.
//! - **Never for packages.** They run as the same user; the engine refuses whatever a sandbox keeps in.
//! - **Only by the owner.** The process that holds the lock of the file removes a stale socket, binds it, and removes it before
//!   the lock is given back. Where it is stands in the lock file.
//! - **Bounded.** Frames, connections and waits have limits; a client that is hostile, slow or dead costs its own
//!   connection and nothing else. A request gets in whatever others do: a connection on which nothing is being done makes
//!   room. What is long is kept on the disk until it is whole.

mod client;
mod command;
mod connection;
mod error;
mod frame;
mod live;
mod package;
mod peer;
mod perform;
mod place;
mod service;
mod spool;
mod table;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use self::service::Service;
pub use self::{
    client::{Client, Followed},
    command::{Command, What},
    error::{Error, Refusal},
    live::LivePackage,
    package::PackageCommand,
};
