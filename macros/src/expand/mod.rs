//! From a valid tree to tokens.
//!
//! ```text
//! pub mod m {
//!     …the module's own items…                                          workflow.rs
//!     pub fn workflow() -> private::Workflow                            workflow.rs
//!     const __CLOACINA_JSON: &[&str]          the descriptor            descriptor.rs
//!     static __CLOACINA_WORKFLOW              descriptor and functions  workflow.rs, function.rs
//!     const _: () = { record and entry }      only of a package         package.rs
//! }
//! ```
//! Generated tokens name std by absolute paths, the module's functions by `self::`, and everything else by the private
//! module of the one crate that the entry point stands for. They carry the macro's span with the place of what they
//! belong to: so lints leave them alone, and an error still points at the function.

mod descriptor;
mod function;
mod package;
mod workflow;

pub(crate) use self::{
    function::n_callbacks,
    workflow::{expand, workflow_function},
};
