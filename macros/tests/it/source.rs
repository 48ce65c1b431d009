//! The place of a task in its source, which the compiler tells only in a real build.

use cloacina_workflow::{Context, TaskError, task, workflow};

#[workflow]
mod placed {
    use super::*;

    /// A task.
    #[task]
    fn here(_: &mut Context) -> Result<(), TaskError> {
        Ok(())
    }
}

#[test]
fn a_task_knows_its_file_relative_to_the_workspace_and_its_line() {
    let descriptor = placed::workflow().descriptor().unwrap();
    assert_eq!(descriptor.workflows[0].tasks[0].source.as_deref(), Some("macros/tests/it/source.rs:11"));
}
