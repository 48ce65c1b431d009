//! From a crate, or a library that another compiler made, to an archive on disk.
//!
//! ```text
//! crate ── locate (cargo metadata) ── compile (cargo rustc) ──> library ── write ──> <package>.cloacina
//! ```
//! Cargo does the compiling, with the user's own settings; only what makes a package small and the same on every
//! machine is put over them, on the command line. The descriptor is read from the library, never by running it.

mod compile;
mod error;
mod locate;
mod pack;
mod paths;
mod source;

pub use self::{
    compile::Progress,
    error::Error,
    pack::{Built, Options, build, pack_libraries},
};
