//! What a package declares and this version does not execute yet: codes `WRN…`.
//!
//! A declaration must never be a silent default. Build, registration and run show these warnings.

use cloacina_workflow::descriptor::{Descriptor, Panic, Workflow};

/// Something to know about a package that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The workflow it is about, if it is about one.
    pub workflow: Option<String>,
    /// The tasks it is about; none if it is about the workflow or the package.
    pub tasks: Vec<String>,
    /// What it says.
    pub kind: WarningKind,
}

/// What a warning says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarningKind {
    /// Retries are declared.
    Retry,
    /// Trigger rules are declared.
    TriggerRules,
    /// A timeout is declared.
    Timeout,
    /// A callback is declared.
    Callback,
    /// A panic ends the process.
    PanicAbort,
}

impl Warning {
    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match self.kind {
            WarningKind::Retry => "WRN0001",
            WarningKind::TriggerRules => "WRN0002",
            WarningKind::Timeout => "WRN0003",
            WarningKind::Callback => "WRN0004",
            WarningKind::PanicAbort => "WRN0005",
        }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(workflow) = &self.workflow {
            write!(formatter, "workflow `{workflow}`")?;
            match self.tasks.as_slice() {
                [] => {}
                [task] => write!(formatter, ", task `{task}`")?,
                tasks => write!(formatter, ", tasks `{}`", tasks.join("`, `"))?,
            }
            formatter.write_str(": ")?;
        }
        formatter.write_str(match self.kind {
            WarningKind::Retry => "retries are declared, but not executed yet: a failed attempt is final",
            WarningKind::TriggerRules => {
                "trigger rules are declared, but not evaluated yet: a task runs when all its dependencies completed"
            }
            WarningKind::Timeout => "a timeout is declared, but not enforced yet",
            WarningKind::Callback => "callbacks are declared, but not called yet",
            WarningKind::PanicAbort => {
                "the package was built with panic = \"abort\": a panic ends the process, so it cannot be loaded into an engine"
            }
        })
    }
}

/// What the workflow declares and this version does not execute yet.
pub fn unsupported(workflow: &Workflow) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |kind, declares: fn(&cloacina_workflow::descriptor::Task) -> bool, of_workflow: bool| {
        let tasks: Vec<_> = workflow.tasks.iter().filter(|task| declares(task)).map(|task| task.id.clone()).collect();
        if of_workflow || !tasks.is_empty() {
            warnings.push(Warning { workflow: Some(workflow.name.clone()), tasks, kind });
        }
    };
    warn(WarningKind::Retry, |task| task.retry.attempts > 0, false);
    warn(WarningKind::TriggerRules, |task| task.trigger_rules.is_some(), false);
    warn(WarningKind::Timeout, |task| task.timeout_ms.is_some(), workflow.timeout_ms.is_some());
    warn(WarningKind::Callback, |task| task.on_success.is_some() || task.on_failure.is_some(), false);
    warnings
}

/// Everything to know about a package: what its workflows declare in vain, and how it was built.
pub fn warnings(descriptor: &Descriptor) -> Vec<Warning> {
    let mut warnings: Vec<_> = descriptor.workflows.iter().flat_map(unsupported).collect();
    if descriptor.build.as_ref().is_some_and(|build| build.panic == Panic::Abort) {
        warnings.push(Warning { workflow: None, tasks: Vec::new(), kind: WarningKind::PanicAbort });
    }
    warnings
}
