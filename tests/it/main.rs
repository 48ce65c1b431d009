//! All cross-crate tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aborting;
mod bench;
mod bounds;
mod broken_host;
mod c_package;
mod cmd;
mod conformance;
mod contexts;
mod cpp_package;
mod crash;
mod crowd;
mod demo;
mod docs;
mod expiry;
mod file;
mod fuzz;
mod hostile;
mod http;
mod idempotency;
mod inline;
mod isolation;
mod json;
mod mischief;
mod new_package;
mod output;
mod packages;
mod parity;
mod reader;
mod readme;
mod restart;
mod sandbox;
mod secret;
mod server_crash;
mod server_settings;
mod settings;
mod sharing;
mod spent;
mod steer;
mod stop;
mod swap;
mod targets;
mod terminal;
mod texts;
mod tidy;
mod trouble;
mod trust;
mod versions;
mod withheld;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by tests that keep the disk busy from beginning to end: side by side each would only wait for the others, and
/// leases of engines would run out meanwhile.
fn disk() -> MutexGuard<'static, ()> {
    static DISK: Mutex<()> = Mutex::new(());
    DISK.lock().unwrap_or_else(PoisonError::into_inner)
}
