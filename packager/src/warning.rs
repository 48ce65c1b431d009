//! Warnings about a package, which are not errors: codes `WRN…`.
//!
//! Build, registration and run show these warnings. A declaration that were not executed would be one of them; there
//! is none at present.

use cloacina_workflow::descriptor::{Descriptor, Panic};

/// A warning about a package, which is not an error.
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
    /// A panic ends the process.
    PanicAbort,
}

impl Warning {
    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match self.kind {
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
            WarningKind::PanicAbort => {
                "the package was built with panic = \"abort\": a panic ends the process, so it runs in a separate process (--isolation process) and never inside an engine"
            }
        })
    }
}

/// Everything to know about a package.
pub fn warnings(descriptor: &Descriptor) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if descriptor.build.as_ref().is_some_and(|build| build.panic == Panic::Abort) {
        warnings.push(Warning { workflow: None, tasks: Vec::new(), kind: WarningKind::PanicAbort });
    }
    warnings
}
