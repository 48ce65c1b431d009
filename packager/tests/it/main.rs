//! Tests of the packager through its public API: hostile archives, libraries made by a C compiler, graphs, builds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod archive;
#[cfg(feature = "build")]
mod build;
mod descriptor;
mod draw;
mod hostile;
mod library;
mod sign;
mod support;
mod unpack;
