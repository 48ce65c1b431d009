//! All cross-crate tests.
