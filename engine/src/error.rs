//! Errors of the engine as its users see them.
pub use crate::store::Error as StoreError;
