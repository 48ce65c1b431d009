//! What the running engine of a database says of its packages, as it is shown.
//!
//! Asked through the engine's socket. On a server there is none, and whether an engine lives there is all that is known. An
//! engine that does not answer does not prevent reading the database.

use std::collections::HashMap;
use std::time::Duration;

use cloacina::{Client, LiveHost, LivePackage, Records};
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::Database;
use crate::error::Error;
use crate::output::{Output, size};
use crate::runs::runtime;
use crate::usage::short;

/// The engine, and what it says of each package by tenant and digest.
#[derive(Debug)]
pub(super) struct Living {
    pub(super) engine: EngineView,
    packages: HashMap<(String, String), LivePackage>,
}

/// The engine of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct EngineView {
    /// Whether an engine is running.
    alive: bool,
    /// The id of its process. Absent if none lives, or only a server knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Whether the engine answered, and reported how the packages run.
    asked: bool,
}

/// How the running engine runs a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunningView {
    /// `inline` or `process`. Absent while it depends on the keys by which the version is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<String>,
    /// What the sandbox does. Absent for a version without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<String>,
    /// Whether its library is loaded.
    loaded: bool,
    /// How many calls of its tasks are under way.
    open_calls: u64,
    /// Its processes.
    hosts: Vec<HostView>,
    /// Why the engine cannot use it. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// A process that runs a version.
#[derive(Debug, Serialize, ToSchema)]
struct HostView {
    /// The id of the process.
    pid: u32,
    /// How many calls are under way in it.
    open_calls: u64,
    /// How many calls were made to it.
    calls: u64,
    /// Whether another one takes its place.
    leaving: bool,
    /// The memory that it holds, in bytes. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<u64>,
    /// The CPU time that it used, in microseconds. Absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us: Option<u64>,
    /// The steps of the sandbox that are in force.
    in_force: Vec<String>,
    /// The steps of the sandbox that this system does not have.
    missing: Vec<String>,
}

impl Living {
    /// That of a database which is not there.
    pub(super) fn none() -> Self {
        Self { engine: EngineView { alive: false, pid: None, asked: false }, packages: HashMap::new() }
    }

    /// Asks the running engine, if there is one.
    pub(super) fn ask(database: &Database, records: &mut Records, output: &Output) -> Result<Self, Error> {
        let alive = records.engine()?;
        let mut living = Self {
            engine: EngineView { alive: alive.is_some(), pid: alive.flatten(), asked: false },
            packages: HashMap::new(),
        };
        let asked = runtime()?.block_on(async {
            let Some(mut client) = Client::connect(&database.url).await? else { return Ok(None) };
            Ok::<_, cloacina::SocketError>(Some((client.pid(), client.packages().await?)))
        });
        match asked {
            Ok(Some((pid, packages))) => {
                living.engine = EngineView { alive: true, pid: Some(pid), asked: true };
                let named = packages.into_iter().map(|one| ((one.tenant.clone(), one.digest.clone()), one));
                living.packages = named.collect();
            }
            Ok(None) => {}
            Err(error) => output.note(&format!("the running engine could not be asked: {error} ({})", error.code())),
        }
        Ok(living)
    }

    pub(super) fn of(&mut self, tenant: &str, digest: &str) -> Option<RunningView> {
        self.packages.remove(&(tenant.to_owned(), digest.to_owned())).map(RunningView::new)
    }
}

impl EngineView {
    /// Whether it is known how packages run.
    pub(super) fn is_asked(self) -> bool {
        self.asked
    }

    pub(super) fn text(self) -> String {
        match (self.alive, self.pid) {
            (false, _) => "none is running".to_owned(),
            (true, Some(pid)) => format!("process {pid}"),
            (true, None) => "one is running on the server, and cannot be asked from here".to_owned(),
        }
    }
}

impl RunningView {
    fn new(package: LivePackage) -> Self {
        Self {
            isolation: package.isolation,
            sandbox: package.sandbox,
            loaded: package.is_loaded,
            open_calls: package.n_open_calls,
            hosts: package.hosts.into_iter().map(HostView::new).collect(),
            problem: package.problem,
        }
    }

    /// In a few words.
    pub(super) fn brief(&self) -> String {
        match (self.isolation.as_deref(), self.hosts.as_slice()) {
            (None, _) => "by its signatures".to_owned(),
            (Some("inline"), _) if self.loaded => "inline".to_owned(),
            (Some(isolation), []) => format!("{isolation}, not loaded"),
            (Some(_), [host]) => format!("process {}", host.pid),
            (Some(_), hosts) => format!("{} processes", hosts.len()),
        }
    }

    /// A line each.
    pub(super) fn lines(&self) -> String {
        let isolation = self.isolation.as_deref().unwrap_or("decided by its signatures when it is loaded");
        let sandbox = self.sandbox.as_ref().map(|sandbox| format!(", sandbox {sandbox}")).unwrap_or_default();
        let loaded = if self.loaded { "" } else { ", not loaded" };
        let mut text = format!("  isolation   {isolation}{sandbox}{loaded}\n");
        for host in &self.hosts {
            text.push_str(&format!("  process     {}\n", host.text()));
            text.push_str(&format!("    kept in   {}\n", host.in_force.join(", ")));
            if !host.missing.is_empty() {
                text.push_str(&format!("    missing   {}\n", host.missing.join(", ")));
            }
        }
        if let Some(problem) = &self.problem {
            text.push_str(&format!("  problem     {problem}\n"));
        }
        text
    }
}

impl HostView {
    fn new(host: LiveHost) -> Self {
        Self {
            pid: host.pid,
            open_calls: host.n_open_calls,
            calls: host.n_calls,
            leaving: host.is_leaving,
            resident_bytes: host.resident_bytes,
            cpu_us: host.cpu_us,
            in_force: host.in_force,
            missing: host.missing,
        }
    }

    fn text(&self) -> String {
        let Self { pid, open_calls, calls, .. } = self;
        let unknown = || "unknown".to_owned();
        let memory = self.resident_bytes.map_or_else(unknown, size);
        let cpu = self.cpu_us.map_or_else(unknown, |cpu| short(Duration::from_micros(cpu)));
        let leaving = if self.leaving { ", being replaced" } else { "" };
        format!("{pid}: {open_calls} of {calls} calls under way, memory {memory}, CPU time {cpu}{leaving}")
    }
}
