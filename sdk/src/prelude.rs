//! Everything that a workflow module names: `use cloacina_workflow::prelude::*;`.

pub use crate::{
    Context, ContextError, Level, Outcome, ResultExt, TaskError, Timestamp, Value, packaged_workflow, task, workflow,
};
