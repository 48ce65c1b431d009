//! Libraries as files: what one is, needs and exports, and what its descriptor says, without running any of it.
//!
//! ```text
//! bytes ── inspect ──> LibraryFacts ── problems(&Policy) ──> nothing, or why it must not be loaded
//! ```
//! Every offset in a library is an enemy's: all reading is bounds checked. What decides about safety is read where
//! the system's loader reads it (the segments), not as other tools do (the sections).

mod elf;
mod facts;
mod glibc;
mod inspect;

pub use self::{
    facts::{LibraryFacts, Policy},
    glibc::GlibcVersion,
    inspect::inspect,
};
