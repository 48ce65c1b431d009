//! All cross-crate tests.

mod c_package;
mod cmd;
mod demo;
mod hostile;
mod mischief;
mod packages;
mod readme;
mod restart;
mod tidy;
