//! The descriptor of a package, which is read without running its code.
//!
//! Each workflow module (or a C author) puts one record into the link section `cloacina`: a small header and this
//! JSON. [`Descriptor::from_section`] reads the section in a library's file or in memory, and merges
//! the records of one package. The schema is in `docs/reference/abi.md`. Unknown members are refused: a misspelled
//! attribute must not silently become a default. The packager checks whether the parts fit together (graph, ranges,
//! names).

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
