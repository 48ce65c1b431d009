//! What benchmarks and tests of other crates may see of the engine's inside; behind the features `testing` and
//! `measuring`.
//!
//! Nothing here is needed to use the engine, and nothing of it is stable.

#[cfg(feature = "testing")]
mod frame;
#[cfg(any(test, feature = "measuring"))]
mod measure;
#[cfg(any(test, feature = "testing"))]
mod private_server;
#[cfg(any(feature = "testing", feature = "measuring"))]
mod probe;
#[cfg(feature = "testing")]
mod server;

#[cfg(feature = "testing")]
pub use self::frame::check_frames;
#[cfg(any(test, feature = "measuring"))]
pub use self::measure::{
    Listed, Load, MeasureError, Measured, Scratch, measure_lists, measure_raw, measure_store, n_transactions,
    release_memory, sqlite_version,
};
#[cfg(test)]
pub(crate) use self::measure::{Value, n_prepared_anew};
#[cfg(any(test, feature = "testing"))]
pub use self::private_server::{Held, PrivateServer};
#[cfg(any(feature = "testing", feature = "measuring"))]
pub use self::probe::{Probe, ProbeError};
#[cfg(feature = "testing")]
pub use self::server::{ServerDatabase, ServerSchema, is_in_transaction, server_processes};
