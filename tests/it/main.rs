//! All cross-crate tests.

mod readme;
mod tidy;
