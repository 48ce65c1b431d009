//! The messages of the socket: one JSON document a frame. Parts of an archive are frames of plain bytes, which come before
//! the message that is about the archive and are not answered.
//!
//! Each side begins with a [`Hello`] whose fields stay what they are in every version; what follows is only understood
//! by a side that speaks the same version. An unknown field or name is a mistake of the sender and is refused.

use serde::{Deserialize, Serialize};

use super::{command::Command, error::Refusal, live::LivePackage, package::PackageCommand};
use crate::{
    id::RunId,
    trust::TrustChange,
    view::{PackageAnswer, RunEvent, RunReport, TrustChanged},
};

/// Raised with every change of a message.
pub(super) const PROTOCOL: u32 = 8;

/// The longest hello; a number, a version and a process id.
pub(super) const HELLO_BYTES_MAX: u32 = 4 * 1024;
/// The longest message to an engine, and the longest answer: what a database can hold as one value. The input of a run
/// may be as large as without the socket, and its report tells it. What clients send at once is bounded apart from that.
pub(super) const MESSAGE_BYTES_MAX: u32 = 1024 * 1024 * 1024;

/// What both sides say first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    /// The sender's version, for people.
    pub(super) program: String,
    pub(super) pid: u32,
}

/// What a client says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// Answered by [`Reply::Report`].
    Do { order: Command, by: String },
    /// Answered by [`Reply::Trust`].
    Trust { tenant: String, change: TrustChange, by: String },
    /// Answered by [`Reply::Package`]. The archive, if there is one, was sent before.
    Package { order: PackageCommand, by: String },
    /// Answered by [`Reply::Packages`].
    Packages,
    /// Answered by the run's history and whatever happens to it, and then by [`Reply::Report`] when it has ended.
    Follow { run: RunId },
    /// Answered by [`Reply::Report`] when the run has ended.
    Wait { run: RunId },
}

/// What an engine says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(super) enum Reply {
    Report { report: Box<RunReport> },
    Event { event: RunEvent },
    Refused { refusal: Refusal },
    Trust { changed: TrustChanged },
    Package { answer: Box<PackageAnswer> },
    Packages { packages: Vec<LivePackage> },
}

impl Hello {
    pub(super) fn ours() -> Self {
        Self { protocol: PROTOCOL, program: env!("CARGO_PKG_VERSION").to_owned(), pid: std::process::id() }
    }
}
