//! The rules that a package is examined for, in the order in which they are.
//!
//! Each has a name for programs, a sentence for people, and what to do when it is broken. The wording is that of
//! `docs/reference/abi.md`, which says why.

use serde::{Deserialize, Serialize};

/// A rule of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    Archive,
    Table,
    Init,
    NewerHost,
    OlderHost,
    Unknown,
    Completes,
    Context,
    Cancel,
    Parallel,
    Logs,
    Shutdown,
    Again,
    Sandbox,
}

pub(super) const RULES: [Rule; 14] = [
    Rule::Archive,
    Rule::Table,
    Rule::Init,
    Rule::Completes,
    Rule::NewerHost,
    Rule::OlderHost,
    Rule::Unknown,
    Rule::Context,
    Rule::Cancel,
    Rule::Parallel,
    Rule::Logs,
    Rule::Shutdown,
    Rule::Again,
    Rule::Sandbox,
];

impl Rule {
    /// What the rule asks for.
    pub(super) fn about(self) -> &'static str {
        match self {
            Rule::Archive => "the archive is valid for this machine, and its descriptor has no mistakes",
            Rule::Table => "the library loads, and its table agrees with the descriptor in the file",
            Rule::Init => "init answers CLCN_OK, whatever else the configuration holds",
            Rule::NewerHost => "a newer host is accepted: longer structs, a larger minor version",
            Rule::OlderHost => "a struct that is too short is refused",
            Rule::Unknown => "an unknown task, an unknown encoding and a cancel of an unknown call have no effect",
            Rule::Completes => "each call completes once, with a valid result, and reads only what it has copied",
            Rule::Context => "every context is survived: none, invalid JSON, other shapes, 1 MiB",
            Rule::Cancel => "a call that is cancelled completes",
            Rule::Parallel => "concurrent calls complete, each under its own number",
            Rule::Logs => "log lines respect the level and have fields, heartbeats have a share",
            Rule::Shutdown => "shutdown ends all calls in time, and the package does not use the host afterwards",
            Rule::Again => "init may follow shutdown",
            Rule::Sandbox => "the sandbox refused no system call",
        }
    }

    /// What to do about a package that breaks it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Rule::Archive => "`cloacina-ctl package verify FILE` says more; the schema is in docs/reference/abi.md",
            Rule::Table => "fill the table as CLCN_PACKAGE does, and do nothing in constructors that can fail",
            Rule::Init => "ignore members of the configuration that you do not know, and return CLCN_OK",
            Rule::NewerHost => {
                "compare with `size < sizeof(...)`, never with `!=`, and do not refuse a larger abi_minor"
            }
            Rule::OlderHost => {
                "return CLCN_REFUSED from init and start when `size < sizeof(...)`, before reading further"
            }
            Rule::Unknown => {
                "return CLCN_REFUSED from start for an unknown index or encoding, and look up a call before you cancel it"
            }
            Rule::Completes => {
                "call complete once for each start that returned CLCN_OK, also when the task fails; return from start at \
                 once unless the task is \"blocking\"; copy what you need of clcn_start before you return; leave cpu_ns at 0 \
                 where you do not know it"
            }
            Rule::Context => "complete with CLCN_FAILED when the context is not what you expect",
            Rule::Cancel => {
                "let cancel wake the task up, or call is_cancelled regularly, and complete with CLCN_CANCELLED"
            }
            Rule::Parallel => "keep the state of each call apart: start is called from many threads at a time",
            Rule::Logs => "read *max_log_level before you write a line, and give fields as a JSON object or not at all",
            Rule::Shutdown => "stop your threads in shutdown, wait for them, and do not call the host afterwards",
            Rule::Again => "reset in shutdown the state that init sets",
            Rule::Sandbox => {
                "avoid the call, or declare it with `needs` where that is possible; docs/concepts/isolation.md lists what each sandbox refuses"
            }
        }
    }

    /// Whether each task is examined by itself.
    pub(super) fn is_of_tasks(self) -> bool {
        matches!(self, Rule::Completes | Rule::Context | Rule::Cancel | Rule::Parallel | Rule::Logs)
    }

    /// Whether breaking it is bad manners and no more.
    pub(super) fn is_advice(self) -> bool {
        matches!(self, Rule::Logs | Rule::Sandbox)
    }
}
