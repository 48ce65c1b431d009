//! Ways to break promises on purpose, for tests that must notice when one is broken, or that need a crash.
//!
//! What breaks anything is there with the feature `testing` alone. Without the feature [`Sabotage`] is a type of no size
//! whose answers are constants, so that no engine that people use can be told to break a promise.

#[cfg(any(test, feature = "testing"))]
mod broken;
#[cfg(not(any(test, feature = "testing")))]
mod kept;

#[cfg(any(test, feature = "testing"))]
pub use self::broken::{DiskFull, Sabotage};
#[cfg(not(any(test, feature = "testing")))]
pub(crate) use self::kept::Sabotage;
