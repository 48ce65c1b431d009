//! What the two processes say to each other: one question, then words, a line of JSON each.

use std::path::PathBuf;

use cloacina::{Confined, HostLimits, Sandbox};
use cloacina_workflow::descriptor::Descriptor;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rule::Rule;

/// What a child is to examine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) library: PathBuf,
    /// The descriptor that the archive holds, as JSON.
    pub(super) descriptor: String,
    pub(super) rule: Rule,
    pub(super) subject: Subject,
    /// The smallest index that no task has.
    pub(super) free_index: u32,
    /// The values that tasks see.
    pub(super) values: Map<String, Value>,
    /// What the package is kept in by.
    pub(super) sandbox: Sandbox,
    /// Where it may write.
    pub(super) scratch: PathBuf,
    /// How long a call may take.
    pub(super) patience_ms: u64,
}

/// A task or callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// `workflow.task`.
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) blocking: bool,
    pub(super) is_callback: bool,
}

/// What a child says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// What it does next; where it is when it says nothing more.
    At(String),
    /// The rule is broken.
    Finding(String),
    /// Something to know.
    Note(String),
    /// A system call that the sandbox refused.
    Refused(String),
    /// All was examined.
    Done,
}

impl Question {
    /// What the child is kept in by.
    pub(super) fn confined(&self) -> Option<Confined> {
        let descriptor = Descriptor::parse(&self.descriptor).ok()?;
        Some(Confined::new(self.sandbox, HostLimits::default(), &descriptor, &self.library, &self.scratch))
    }

    /// The context of a call, with those values.
    pub(super) fn context(&self, values: &Value) -> Vec<u8> {
        let mut view = json!({ "values": values });
        if self.subject.is_callback {
            view["outcome"] = json!({ "task": "examined", "attempt": 1, "error": null });
        }
        view.to_string().into_bytes()
    }
}
