//! What the running engine of a database says of its packages, as it is shown.
//!
//! Asked through the engine's socket. On a server there is none, and whether an engine lives there is all that is known. An
//! engine that does not answer does not prevent reading the database.

use std::collections::HashMap;

use cloacina::{Client, PackageHost, PackageRunning};
use cloacina_packager::Digest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::output::{Output, size};
use crate::place::{Place, Source};
use crate::runs::runtime;
use crate::usage::short;

/// The engine, and what it says of each package by tenant and digest.
#[derive(Debug)]
pub(super) struct Living {
    pub(super) engine: EngineView,
    packages: HashMap<(String, Digest), PackageRunning>,
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

impl Living {
    /// That of a database which is not there.
    pub(super) fn none() -> Self {
        Self { engine: EngineView { alive: false, pid: None, asked: false }, packages: HashMap::new() }
    }

    /// Asks the running engine, if there is one.
    pub(super) fn ask(place: &Place, source: &mut Source, output: &Output) -> Result<Self, Error> {
        let alive = source.engine()?;
        let mut living = Self {
            engine: EngineView { alive: alive.is_some(), pid: alive.flatten(), asked: false },
            packages: HashMap::new(),
        };
        // A server does not tell how its packages run.
        let Place::Database(database) = place else { return Ok(living) };
        let asked = runtime()?.block_on(async {
            let Some(mut client) = Client::connect(&database.url).await? else { return Ok(None) };
            Ok::<_, cloacina::SocketError>(Some((client.pid(), client.packages().await?)))
        });
        match asked {
            Ok(Some((pid, packages))) => {
                living.engine = EngineView { alive: true, pid: Some(pid), asked: true };
                let named = packages.into_iter().map(|one| ((one.tenant, one.digest), one.running));
                living.packages = named.collect();
            }
            Ok(None) => {}
            Err(error) => output.note(&format!("the running engine could not be asked: {error} ({})", error.code())),
        }
        Ok(living)
    }

    pub(super) fn of(&mut self, tenant: &str, digest: Digest) -> Option<PackageRunning> {
        self.packages.remove(&(tenant.to_owned(), digest))
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

/// How a version is run, in a few words.
pub(super) fn brief(running: &PackageRunning) -> String {
    match (running.isolation.as_deref(), running.hosts.as_slice()) {
        (None, _) => "by its signatures".to_owned(),
        (Some("inline"), _) if running.is_loaded => "inline".to_owned(),
        (Some(isolation), []) => format!("{isolation}, not loaded"),
        (Some(_), [host]) => format!("process {}", host.pid),
        (Some(_), hosts) => format!("{} processes", hosts.len()),
    }
}

/// How a version is run, a line each.
pub(super) fn lines(running: &PackageRunning) -> String {
    let isolation = running.isolation.as_deref().unwrap_or("decided by its signatures when it is loaded");
    let sandbox = running.sandbox.as_ref().map(|sandbox| format!(", sandbox {sandbox}")).unwrap_or_default();
    let loaded = if running.is_loaded { "" } else { ", not loaded" };
    let mut text = format!("  isolation   {isolation}{sandbox}{loaded}\n");
    for host in &running.hosts {
        text.push_str(&format!("  process     {}\n", process(host)));
        text.push_str(&format!("    kept in   {}\n", host.in_force.join(", ")));
        if !host.missing.is_empty() {
            text.push_str(&format!("    missing   {}\n", host.missing.join(", ")));
        }
    }
    if let Some(problem) = &running.problem {
        text.push_str(&format!("  problem     {problem}\n"));
    }
    text
}

fn process(host: &PackageHost) -> String {
    let PackageHost { pid, n_open_calls, n_calls, .. } = host;
    let unknown = || "unknown".to_owned();
    let memory = host.resident_bytes.map_or_else(unknown, size);
    let cpu = host.cpu.map_or_else(unknown, short);
    let leaving = if host.is_leaving { ", being replaced" } else { "" };
    format!("{pid}: {n_open_calls} of {n_calls} calls under way, memory {memory}, CPU time {cpu}{leaving}")
}
