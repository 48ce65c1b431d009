//! A registered version as it is shown: a row for people, a document for programs.
//!
//! Nothing is decided here.

use cloacina::{PackageEvent, PackageRecord, PackageRunning, PackageState, Quarantine};
use serde::Serialize;
use utoipa::ToSchema;

use super::living::{EngineView, Living, brief, lines};
use crate::output::Paint;

/// A version of a package, and how the running engine runs it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    #[serde(flatten)]
    pub(super) record: PackageRecord,
    /// How the running engine runs it. Absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<PackageRunning>,
}

impl VersionView {
    pub(super) fn new(record: PackageRecord, living: &mut Living) -> Self {
        Self { running: living.of(&record.tenant, record.digest), record }
    }

    fn state(&self, paint: Paint) -> String {
        let name = self.record.state.as_str();
        match self.record.state {
            PackageState::Active => paint.green(name),
            PackageState::Quarantined => paint.red(name),
            _ => name.to_owned(),
        }
    }

    fn new_runs(&self) -> String {
        match (self.record.share, &self.record.quarantine) {
            (0, _) => "none".to_owned(),
            (share, None) => format!("{share} %"),
            (share, Some(_)) => format!("none, would be {share} %"),
        }
    }

    pub(super) fn row(&self, paint: Paint) -> Vec<String> {
        let digest = format!("sha256:{}", self.record.digest.short());
        [
            format!("{}::{}", self.record.tenant, self.record.name),
            self.record.version.clone(),
            self.state(paint),
            self.new_runs(),
            paint.moment(self.record.registered_at),
            self.record.actor.clone(),
            digest,
        ]
        .into_iter()
        .chain(self.running.as_ref().map(brief))
        .collect()
    }

    /// Everything, a line each.
    pub(super) fn text(&self, engine: EngineView, paint: Paint) -> String {
        let mut text = format!(
            "{}::{}@{}, {}\n  digest      {}\n  archive     {}\n  new runs    {}\n  registered  {} by {}\n",
            self.record.tenant,
            self.record.name,
            self.record.version,
            self.state(paint),
            self.record.digest,
            self.record.archive_digest,
            self.new_runs(),
            self.record.registered_at,
            self.record.actor
        );
        if let Some(Quarantine { reason, since, until, before, .. }) = &self.record.quarantine {
            let until = until.map_or_else(|| "it is released".to_owned(), |until| until.to_string());
            text.push_str(&format!("  quarantine  since {since}, until {until}, then {before}: {reason}\n"));
        }
        if !self.record.needs.is_empty() {
            text.push_str(&format!("  needs       {}\n", self.record.needs.join(", ")));
        }
        text.push_str(&format!("  engine      {}\n", engine.text()));
        text.push_str(&self.running.as_ref().map(lines).unwrap_or_default());
        for workflow in &self.record.workflows {
            text.push_str(&format!("  workflow    {workflow}\n"));
        }
        text
    }
}

pub(super) fn event_row(event: &PackageEvent, paint: Paint) -> Vec<String> {
    let share = event.share.map(|share| format!("{share} % of new runs"));
    let more: Vec<String> = share.into_iter().chain(event.reason.clone()).collect();
    let kind = event.kind.as_str().to_owned();
    vec![paint.moment(event.at), event.version.clone(), kind, event.actor.clone(), more.join(", ")]
}
