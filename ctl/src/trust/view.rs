//! Whom a tenant trusts, as it is shown: tables for people, one document for programs.
//!
//! Nothing here decides whether a key counts.

use cloacina::{KeyRecord, Revoked, TrustEvent, TrustRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::document::Document;
use crate::output::Paint;

/// The keys that a tenant trusts, and how many signatures it requires.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustView {
    #[serde(flatten)]
    trust: TrustRecord,
    /// What happened to the trust of the tenant, the newest first. Absent without `--events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<TrustEvent>>,
}

impl Document for TrustView {}

impl TrustView {
    pub(super) fn new(trust: TrustRecord, events: Option<Vec<TrustEvent>>) -> Self {
        Self { trust, events }
    }

    /// That of a database which is not there.
    pub(super) fn none(tenant: &str, has_events: bool) -> Self {
        Self { trust: TrustRecord::none(tenant), events: has_events.then(Vec::new) }
    }

    pub(super) fn requires_nothing(&self) -> bool {
        self.trust.required == 0
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let TrustRecord { tenant, required, is_default, keys, .. } = &self.trust;
        let by_default = if *is_default { ", unless the settings of the engine differ" } else { "" };
        let mut text = match required {
            0 => format!("{tenant} requires no signatures{by_default}\n"),
            1 => format!("{tenant} requires 1 signature\n"),
            several => format!("{tenant} requires {several} signatures, by different keys\n"),
        };
        if keys.is_empty() {
            text.push_str("no keys\n");
        } else {
            let header = ["key", "id", "state", "may sign", "until", "added by"].map(str::to_owned).to_vec();
            text.push_str(&paint.columns([header].into_iter().chain(keys.iter().map(row)), ""));
        }
        for key in keys {
            let Some(Revoked { at, by, reason, .. }) = &key.revoked else { continue };
            text.push_str(&format!("{} {} by {by} at {at}: {reason}\n", key.name, paint.red("was revoked")));
        }
        for event in self.events.iter().flatten() {
            text.push_str(&line(event, paint));
        }
        text
    }
}

fn row(key: &KeyRecord) -> Vec<String> {
    let until = key.expires_at.map_or_else(|| "ever".to_owned(), |at| at.to_string());
    let scopes = key.scopes.join(" ");
    vec![key.name.clone(), key.id.clone(), key.state.to_owned(), scopes, until, key.added_by.clone()]
}

fn line(event: &TrustEvent, paint: Paint) -> String {
    let TrustEvent { at, kind, actor, key, digest, detail, .. } = event;
    let digest = digest.map(|digest| digest.to_string());
    let about = key.iter().chain(&digest).map(|about| format!(" {about}")).collect::<String>();
    format!("{}  {:19}  {actor}{about}  {detail}\n", paint.dim(&at.to_string()), kind.as_str())
}
