//! The library that a Cloacina package links: the context and the errors of its tasks, and the macros that define workflows.
//!
//! A package is a library crate of type `cdylib` that depends on this crate and on `serde_json`. Its workflows are
//! modules; each task is an ordinary function, callable in a unit test:
//!
//! ```
//! use cloacina_workflow::prelude::*;
//! use serde_json::json;
//!
//! #[packaged_workflow(name = "greeting", package = "hello", description = "Says hello")]
//! pub mod greeting {
//!     use super::*;
//!
//!     /// Chooses the words.
//!     #[task(dependencies = [])]
//!     pub async fn choose(context: &mut Context<Value>) -> Result<(), TaskError> {
//!         context.insert("words", json!("hello"))?;
//!         Ok(())
//!     }
//!
//!     /// Says them as often as the input asks for.
//!     #[task(dependencies = [choose], retry_attempts = 2)]
//!     pub fn say(context: &mut Context<Value>) -> Result<(), TaskError> {
//!         let words: String = context.get_as("words")?;
//!         let times: usize = context.get_as("times")?;
//!         context.insert("said", json!(words.repeat(times)))?;
//!         Ok(())
//!     }
//! }
//!
//! fn main() -> Result<(), TaskError> {
//!     let mut context = Context::new();
//!     context.insert("words", json!("hey "))?;
//!     context.insert("times", json!(2))?;
//!     greeting::say(&mut context)?;
//!     assert_eq!(context.get("said"), Some(&json!("hey hey ")));
//!     Ok(())
//! }
//! ```
//!
//! `docs/guide/first-package.md` continues from there to a running package; `docs/reference/macros.md` lists every
//! attribute. The names of this page are stable; [`abi`] and [`descriptor`] are for programs that load packages.
#![deny(missing_docs)]

mod attempt;
mod context;
mod convert;
mod error;
mod exact;
mod log;
mod logging;
mod redact;
mod source;
mod task;
mod timestamp;

#[expect(unsafe_code, reason = "the C ABI is raw pointers on both sides")]
pub mod abi;
pub mod descriptor;
pub mod payload;
pub mod prelude;

#[doc(hidden)]
pub mod __private;

pub use cloacina_macros::{packaged_workflow, task, workflow};
pub use serde_json::Value;

pub use self::{
    context::{Context, TaskInfo, TaskOutput},
    convert::ResultExt,
    error::{ContextError, ErrorRecord, TaskError},
    log::Level,
    task::{Function, Outcome, OutcomeRecord, TaskFuture, Workflow},
    timestamp::{NotATimestamp, Timestamp},
};
