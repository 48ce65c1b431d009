//! The way from an engine to who may ask.

use std::sync::Arc;

use super::handle::Engine;
use crate::access::Access;

impl Engine {
    /// The handle that shows and changes who may ask.
    #[must_use]
    pub fn access(&self) -> Access {
        Access::new(Arc::clone(&self.shared.gate), self.caller.clone())
    }
}
