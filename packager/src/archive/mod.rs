//! The archive as bytes: one canonical form, written and read.
//!
//! ```text
//! files ── tarball ──> tar bytes ── gzip ──> archive         write.rs
//! archive ── inflate (limits) ──> entries ── tarball ──> the same tar bytes, or refused      read.rs
//! ```
//! Two programs that read one archive differently are the attack that archives invite. So only those bytes are
//! allowed that `tarball` itself would write: a reader cannot disagree about them. Nothing in this folder knows what
//! the files mean, touches the disk, or runs anything.

mod files;
mod gzip;
mod limits;
mod name;
mod read;
mod repack;
mod tarball;
mod write;

pub use self::{
    files::Files,
    limits::{Limit, Limits},
};
pub(crate) use self::{name::check_file_name, read::read_files, repack::repack_files, write::write_files};
