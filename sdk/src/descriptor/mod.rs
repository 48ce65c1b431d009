//! The descriptor: what a package says of itself, readable without running it.
//!
//! Each workflow module (or a C author) puts one record into the link section `cloacina`: a small header and this
//! JSON. [`Descriptor::from_section`] reads the section as it stands in a library's file or in memory, and merges
//! the records of one package. The schema is in `docs/reference/abi.md`. Unknown members are refused: a misspelt
//! attribute must not become a silent default. Whether the parts make sense together (graph, ranges, names) is
//! checked by the packager.

mod error;
mod record;
mod rule;
mod schema;

pub use self::{
    error::Error,
    record::{HEADER_BYTES, MAGIC, RECORD_ALIGN, SECTION},
    rule::{Operator, Rule, TriggerWhen},
    schema::{
        Backoff, Build, Callback, Descriptor, Durability, FORMAT, FUNCTIONS_MAX, Need, Needs, Panic, Retry,
        RetryCondition, Task, Workflow,
    },
};
