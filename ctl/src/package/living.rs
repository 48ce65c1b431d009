//! What the living engine of a database says of its packages, as it is shown.
//!
//! Asked through the engine's socket. On a server there is none, and whether an engine lives there is all that is known. An
//! engine that does not answer keeps nobody from what the database says.

use std::collections::HashMap;
use std::time::Duration;

use cloacina::{Client, LiveHost, LivePackage, Records};
use serde::Serialize;

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

/// Whether an engine lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct EngineView {
    alive: bool,
    /// Its process, where that is known.
    pid: Option<u32>,
    /// Whether it said what follows of its packages.
    asked: bool,
}

/// How a version runs.
#[derive(Debug, Serialize)]
pub(super) struct RunningView {
    /// None while it depends on who signed it.
    isolation: Option<String>,
    sandbox: Option<String>,
    loaded: bool,
    open_calls: u64,
    hosts: Vec<HostView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct HostView {
    pid: u32,
    open_calls: u64,
    calls: u64,
    leaving: bool,
    resident_bytes: Option<u64>,
    cpu_us: Option<u64>,
    in_force: Vec<String>,
    missing: Vec<String>,
}

impl Living {
    /// That of a database which is not there.
    pub(super) fn none() -> Self {
        Self { engine: EngineView { alive: false, pid: None, asked: false }, packages: HashMap::new() }
    }

    /// Asks the living engine, if there is one.
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
            Err(error) => output.note(&format!("the living engine could not be asked: {error} ({})", error.code())),
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
            (false, _) => "none lives: nothing runs it now".to_owned(),
            (true, Some(pid)) => format!("process {pid}"),
            (true, None) => "one lives on the server, and cannot be asked from here".to_owned(),
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
