//! What kind of trouble an error is.
//!
//! The class decides what a program does about an error: exit codes of the command line, and statuses over HTTP, are
//! functions of the class alone. The code beside it says what exactly went wrong.

use serde::{Deserialize, Serialize};

/// The class of an error, which tells who can correct it: the caller, an operator, or the authors of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// What was given is wrong, and stays wrong: a text, a file, a package.
    Invalid,
    /// What was named is not there.
    NotFound,
    /// What was asked for does not fit the present state of something.
    Conflict,
    /// What was asked for is not allowed.
    Denied,
    /// Something else is in the way for now; the same request may succeed in a moment.
    Busy,
    /// Something that the answer needs cannot be used now: a server, a disk, an engine.
    Unavailable,
    /// A fault of this program, or of what the program has stored.
    Internal,
}
