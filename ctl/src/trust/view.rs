//! Whom a tenant trusts, as it is shown: tables for people, one document for programs.
//!
//! Nothing here decides whether a key counts.

use cloacina::{Timestamp, Trust, TrustEvent, TrustKey};
use serde::Serialize;
use utoipa::ToSchema;

use crate::document::{Document, Moment};
use crate::output::Paint;

/// The keys that a tenant trusts, and how many signatures it requires.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustView {
    /// The tenant.
    tenant: String,
    /// How many signatures a package needs, each by another key.
    required: usize,
    /// Whether the tenant has not set the number.
    is_default: bool,
    /// The keys.
    keys: Vec<KeyView>,
    /// What happened to the trust of the tenant, the newest first. Absent without `--events`.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
}

impl Document for TrustView {}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyView {
    /// The name of the key.
    name: String,
    /// The id of the key, 16 hexadecimal digits.
    id: String,
    /// The public key, in one line.
    public_key: String,
    /// `trusted`, `expired` or `revoked`.
    state: &'static str,
    /// The packages that the key may sign.
    scopes: Vec<String>,
    /// When the key expires. Absent if it never does.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// When it was added.
    #[schema(value_type = Moment)]
    added_at: Timestamp,
    /// The actor that added it.
    added_by: String,
    /// When and why it was revoked. Absent if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<RevokedView>,
}

/// The end of the trust in a key.
#[derive(Debug, Serialize, ToSchema)]
struct RevokedView {
    /// When the key was revoked.
    #[schema(value_type = Moment)]
    at: Timestamp,
    /// The actor that revoked it.
    by: String,
    /// The reason that was given.
    reason: String,
}

/// Something that happened to the trust of a tenant.
#[derive(Debug, Serialize, ToSchema)]
struct EventView {
    /// When it happened.
    #[schema(value_type = Moment)]
    at: Timestamp,
    /// What happened, such as `key_added`.
    kind: &'static str,
    /// The actor.
    actor: String,
    /// The id of the key. Absent if the event is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The content digest of the package's version. Absent if the event is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The event in words.
    detail: String,
}

impl TrustView {
    pub(super) fn new(trust: Trust, events: Option<Vec<TrustEvent>>) -> Self {
        let now = Timestamp::now();
        let keys = trust.keys.iter().map(|key| KeyView::new(key, now)).collect();
        let events = events.map(|events| events.into_iter().map(EventView::new).collect());
        Self { tenant: trust.tenant, required: trust.required, is_default: trust.is_default, keys, events }
    }

    /// That of a database which is not there.
    pub(super) fn none(tenant: &str, has_events: bool) -> Self {
        let events = has_events.then(Vec::new);
        Self { tenant: tenant.to_owned(), required: 0, is_default: true, keys: Vec::new(), events }
    }

    pub(super) fn requires_nothing(&self) -> bool {
        self.required == 0
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let Self { tenant, required, is_default, keys, events } = self;
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
            text.push_str(&paint.columns([header].into_iter().chain(keys.iter().map(KeyView::row)), ""));
        }
        for key in keys {
            let Some(RevokedView { at, by, reason }) = &key.revoked else { continue };
            text.push_str(&format!("{} {} by {by} at {at}: {reason}\n", key.name, paint.red("was revoked")));
        }
        for event in events.iter().flatten() {
            text.push_str(&event.line(paint));
        }
        text
    }
}

impl KeyView {
    fn new(key: &TrustKey, now: Timestamp) -> Self {
        let state = match (&key.revoked, key.is_usable(now)) {
            (Some(_), _) => "revoked",
            (None, true) => "trusted",
            (None, false) => "expired",
        };
        let revoked = key.revoked.as_ref().map(|revoked| RevokedView {
            at: revoked.at,
            by: revoked.by.clone(),
            reason: revoked.reason.clone(),
        });
        Self {
            name: key.name.clone(),
            id: key.id(),
            public_key: key.public_key(),
            state,
            scopes: key.scopes(),
            expires_at: key.expires_at,
            added_at: key.added_at,
            added_by: key.added_by.clone(),
            revoked,
        }
    }

    fn row(&self) -> Vec<String> {
        let until = self.expires_at.map_or_else(|| "ever".to_owned(), |at| at.to_string());
        let scopes = self.scopes.join(" ");
        vec![self.name.clone(), self.id.clone(), self.state.to_owned(), scopes, until, self.added_by.clone()]
    }
}

impl EventView {
    fn new(event: TrustEvent) -> Self {
        let TrustEvent { kind, at, actor, key, digest, detail, .. } = event;
        Self { at, kind: kind.as_str(), actor, key, digest: digest.map(|digest| digest.to_string()), detail }
    }

    fn line(&self, paint: Paint) -> String {
        let Self { at, kind, actor, key, digest, detail } = self;
        let about = key.iter().chain(digest).map(|about| format!(" {about}")).collect::<String>();
        format!("{}  {kind:19}  {actor}{about}  {detail}\n", paint.dim(&at.to_string()))
    }
}
