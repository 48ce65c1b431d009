//! What benchmarks and tests of other crates may see of the engine's inside; behind the feature `testing`.
//!
//! Nothing here is needed to use the engine, and nothing of it is stable.

mod probe;
mod server;

pub use self::{
    probe::{Probe, ProbeError},
    server::ServerSchema,
};
