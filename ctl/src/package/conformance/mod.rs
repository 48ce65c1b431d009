//! `package test`: runs a package against the rules of the protocol and says of each whether it keeps it.
//!
//! ```text
//! test ── one rule, one task ──► child: this program again ── Probe ──► the library
//!      ◄── where it is, what it found, done ──┘   (a child that dies or hangs is a finding too)
//! ```
//! The code of the package runs in the children alone. A child examines one rule with one task and ends, so that
//! nothing which one examination leaves behind can spoil another.

mod call;
mod child;
mod examine;
mod message;
pub(crate) mod report;
mod rule;
mod test;

pub(crate) use self::{examine::examine, test::test};
