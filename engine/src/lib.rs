//! The Cloacina engine: hot-loads packages and runs their workflows durably.
#![expect(dead_code, unused_imports, unreachable_pub, reason = "the parts land one by one; the engine uses them all")]

mod clock;
mod core;
mod error;
mod id;
mod loader;
mod store;
