//! A registered version as it is shown: a row for people, a document for programs.
//!
//! Nothing is decided here.

use cloacina::{PackageEvent, PackageRecord, PackageState, Quarantine, Timestamp, needs_of};
use serde::Serialize;
use utoipa::ToSchema;

use super::living::{EngineView, Living, RunningView};
use crate::document::{Moment, PackageStateName};
use crate::output::Paint;

/// As many digits of a digest as tell versions apart.
const DIGITS_SHOWN: usize = 12;

/// A version of a package, with the same fields wherever one is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    /// The tenant.
    tenant: String,
    /// The name of the package.
    pub(super) name: String,
    /// The version, for people.
    version: String,
    /// The digest of what the package does: the identity of the version.
    content_digest: String,
    /// The digest of the archive's bytes.
    archive_digest: String,
    /// The state of the version.
    #[schema(value_type = PackageStateName)]
    state: &'static str,
    /// How many of a hundred new runs it gets.
    share: u8,
    /// Why it is quarantined. Absent if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineView>,
    /// When it was registered.
    #[schema(value_type = Moment)]
    registered_at: Timestamp,
    /// The actor that registered it.
    registered_by: String,
    /// The full names of its workflows.
    workflows: Vec<String>,
    /// What it says that it needs of the world outside, in the words in which it is allowed.
    needs: Vec<String>,
    /// How the living engine runs it. Absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<RunningView>,
}

/// Why a version must not be used.
#[derive(Debug, Serialize, ToSchema)]
struct QuarantineView {
    /// The reason, in words.
    reason: String,
    /// Since when.
    #[schema(value_type = Moment)]
    since: Timestamp,
    /// When it is tried again. Absent if somebody has to release it.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The state to which it goes back.
    #[schema(value_type = PackageStateName)]
    before: &'static str,
}

/// Something that happened to a package.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventView {
    /// When it happened.
    #[schema(value_type = Moment)]
    at: Timestamp,
    /// What happened, such as `registered`.
    event: &'static str,
    /// The version.
    version: String,
    /// Its content digest.
    content_digest: String,
    /// The actor.
    by: String,
    /// The reason. Absent if none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The state before. Absent if there was none, or it stayed.
    #[schema(value_type = Option<PackageStateName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    /// The state after. Absent if there is none, or it stayed.
    #[schema(value_type = Option<PackageStateName>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    /// How many of a hundred new runs the version gets since. Absent if that did not change.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<u8>,
}

impl VersionView {
    pub(super) fn new(record: &PackageRecord, living: &mut Living) -> Self {
        let PackageRecord { tenant, name, .. } = record;
        let workflows = record.descriptor.workflows.iter();
        Self {
            tenant: tenant.clone(),
            name: name.clone(),
            version: record.version.clone(),
            content_digest: record.digest.to_string(),
            archive_digest: record.archive_digest.to_string(),
            state: record.state.as_str(),
            share: record.share.unwrap_or(0),
            quarantine: record.quarantine.as_ref().map(QuarantineView::new),
            registered_at: record.registered_at,
            registered_by: record.actor.clone(),
            needs: needs_of(&record.descriptor),
            workflows: workflows.map(|workflow| format!("{tenant}::{name}::{}", workflow.name)).collect(),
            running: living.of(tenant, &record.digest.to_string()),
        }
    }

    fn state(&self, paint: Paint) -> String {
        match self.state {
            "active" => paint.green(self.state),
            "quarantined" => paint.red(self.state),
            state => state.to_owned(),
        }
    }

    fn new_runs(&self) -> String {
        match (self.share, &self.quarantine) {
            (0, _) => "none".to_owned(),
            (share, None) => format!("{share} %"),
            (share, Some(_)) => format!("none, would be {share} %"),
        }
    }

    pub(super) fn row(&self, paint: Paint) -> Vec<String> {
        let digest = self.content_digest.chars().take("sha256:".len() + DIGITS_SHOWN).collect();
        [
            format!("{}::{}", self.tenant, self.name),
            self.version.clone(),
            self.state(paint),
            self.new_runs(),
            paint.moment(self.registered_at),
            self.registered_by.clone(),
            digest,
        ]
        .into_iter()
        .chain(self.running.as_ref().map(RunningView::brief))
        .collect()
    }

    /// Everything, a line each.
    pub(super) fn text(&self, engine: EngineView, paint: Paint) -> String {
        let mut text = format!(
            "{}::{}@{}, {}\n  digest      {}\n  archive     {}\n  new runs    {}\n  registered  {} by {}\n",
            self.tenant,
            self.name,
            self.version,
            self.state(paint),
            self.content_digest,
            self.archive_digest,
            self.new_runs(),
            self.registered_at,
            self.registered_by
        );
        if let Some(QuarantineView { reason, since, until, before }) = &self.quarantine {
            let until = until.map_or_else(|| "it is released".to_owned(), |until| until.to_string());
            text.push_str(&format!("  quarantine  since {since}, until {until}, then {before}: {reason}\n"));
        }
        if !self.needs.is_empty() {
            text.push_str(&format!("  needs       {}\n", self.needs.join(", ")));
        }
        text.push_str(&format!("  engine      {}\n", engine.text()));
        text.push_str(&self.running.as_ref().map(RunningView::lines).unwrap_or_default());
        for workflow in &self.workflows {
            text.push_str(&format!("  workflow    {workflow}\n"));
        }
        text
    }
}

impl QuarantineView {
    fn new(quarantine: &Quarantine) -> Self {
        let Quarantine { reason, since, until, before, .. } = quarantine;
        Self { reason: reason.clone(), since: *since, until: *until, before: before.as_str() }
    }
}

impl EventView {
    pub(super) fn new(event: PackageEvent) -> Self {
        Self {
            at: event.at,
            event: event.kind.as_str(),
            version: event.version,
            content_digest: event.digest.to_string(),
            by: event.actor,
            reason: event.reason,
            from: event.from.map(PackageState::as_str),
            to: event.to.map(PackageState::as_str),
            share: event.share,
        }
    }

    pub(super) fn row(&self, paint: Paint) -> Vec<String> {
        let share = self.share.map(|share| format!("{share} % of new runs"));
        let more: Vec<String> = share.into_iter().chain(self.reason.clone()).collect();
        vec![paint.moment(self.at), self.version.clone(), self.event.to_owned(), self.by.clone(), more.join(", ")]
    }
}
