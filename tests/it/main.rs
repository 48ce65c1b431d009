//! All cross-crate tests.

mod tidy;
