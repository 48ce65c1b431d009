//! What benchmarks and tests of other crates may see of the engine's inside; behind the feature `testing`.
//!
//! Nothing here is needed to use the engine, and nothing of it is stable.

mod probe;

pub use self::probe::{Probe, ProbeError};
