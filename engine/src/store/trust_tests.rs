//! What is kept of trust, on both databases: written once, read back whole, and every kind of event known to the schema.
//!
//! What a policy means is of no interest here; keys are any text.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{
    RevokedRow, TrustEventKind, TrustEventRow, TrustKeyRow,
    testing::TestDatabase,
    tests::{Fixture, on_both},
    trust_event_insert_in_txn, trust_event_list, trust_key_delete_in_txn, trust_key_insert_in_txn, trust_key_is_any,
    trust_key_list, trust_key_revoke_in_txn, trust_lock_in_txn, trust_required_get, trust_required_set_in_txn,
};

on_both! {
    keys_are_kept_for_each_tenant_by_name,
    a_key_is_revoked_once,
    what_is_required_is_kept_for_each_tenant,
    events_of_every_kind_are_kept_newest_first,
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_micros(seconds * 1_000_000)
}

fn key(tenant: &str, id: u64, name: &str) -> TrustKeyRow {
    TrustKeyRow {
        tenant: tenant.to_owned(),
        key_id: format!("{id:016X}"),
        name: name.to_owned(),
        public_key: "RW".to_owned(),
        scopes: "billing* reports".to_owned(),
        expires_at: id.is_multiple_of(2).then(|| at(id)),
        added_at: at(1),
        added_by: "ada".to_owned(),
        revoked: None,
    }
}

impl Fixture {
    fn add(&self, row: &TrustKeyRow) {
        let row = row.clone();
        self.store.write_blocking("test", move |connection| trust_key_insert_in_txn(connection, &row)).unwrap();
    }

    fn keys(&self, tenant: &'static str) -> Vec<TrustKeyRow> {
        self.store.write_blocking("test", move |connection| trust_key_list(connection, tenant)).unwrap()
    }
}

fn keys_are_kept_for_each_tenant_by_name(fixture: Fixture) {
    assert!(!fixture.store.write_blocking("test", trust_key_is_any).unwrap());
    let rows = [key("acme", 2, "ci"), key("acme", 1, "release"), key("beta", 2, "ci")];
    rows.iter().rev().for_each(|row| fixture.add(row));
    assert_eq!(fixture.keys("acme"), rows[..2]);
    assert_eq!(fixture.keys("beta"), rows[2..]);
    for taken in [key("acme", 2, "other"), key("acme", 3, "ci")] {
        let insert = move |connection: &mut _| trust_key_insert_in_txn(connection, &taken);
        fixture.store.write_blocking("test", insert).unwrap_err();
    }
    let id = rows[0].key_id.clone();
    let delete = move |connection: &mut _| trust_key_delete_in_txn(connection, "acme", &id);
    fixture.store.write_blocking("test", delete).unwrap();
    assert_eq!((fixture.keys("acme").len(), fixture.keys("beta").len()), (1, 1));
    let fixture = fixture.reopen();
    assert_eq!(fixture.keys("acme"), rows[1..2]);
    assert!(fixture.store.write_blocking("test", trust_key_is_any).unwrap());
}

fn a_key_is_revoked_once(fixture: Fixture) {
    let row = key("acme", 1, "ci");
    fixture.add(&row);
    for (seconds, by) in [(5, "ada"), (6, "bob")] {
        let revoked = RevokedRow { at: at(seconds), by: by.to_owned(), reason: "it was stolen".to_owned() };
        let id = row.key_id.clone();
        let revoke = move |connection: &mut _| trust_key_revoke_in_txn(connection, ("acme", &id), &revoked);
        fixture.store.write_blocking("test", revoke).unwrap();
    }
    let revoked = fixture.keys("acme").remove(0).revoked.unwrap();
    assert_eq!((revoked.at, revoked.by.as_str(), revoked.reason.as_str()), (at(5), "ada", "it was stolen"));
}

fn what_is_required_is_kept_for_each_tenant(fixture: Fixture) {
    let required = |tenant: &'static str| {
        fixture.store.write_blocking("test", move |connection| trust_required_get(connection, tenant)).unwrap()
    };
    for (tenant, n_signatures) in [("acme", 1), ("beta", 0), ("acme", 2)] {
        let set = move |connection: &mut _| {
            trust_lock_in_txn(connection)?;
            trust_required_set_in_txn(connection, tenant, n_signatures)
        };
        fixture.store.write_blocking("test", set).unwrap();
    }
    assert_eq!((required("acme"), required("beta"), required("public")), (Some(2), Some(0), None));
    let negative = |connection: &mut _| trust_required_set_in_txn(connection, "acme", -1);
    fixture.store.write_blocking("test", negative).unwrap_err();
    assert_eq!(required("acme"), Some(2));
}

fn events_of_every_kind_are_kept_newest_first(fixture: Fixture) {
    let rows: Vec<TrustEventRow> = (0_u64..)
        .zip(TrustEventKind::ALL)
        .map(|(place, kind)| TrustEventRow {
            tenant: "acme".to_owned(),
            kind,
            at: at(place),
            actor: "ada".to_owned(),
            key_id: place.is_multiple_of(2).then(|| format!("{place:016X}")),
            digest: (kind == TrustEventKind::PackageSigned).then(|| Digest::of(b"content")),
            detail: format!("number {place}"),
        })
        .collect();
    for row in rows.clone() {
        fixture.store.write_blocking("test", move |connection| trust_event_insert_in_txn(connection, &row)).unwrap();
    }
    let list = |tenant: &'static str, n_max| {
        fixture.store.write_blocking("test", move |connection| trust_event_list(connection, tenant, n_max)).unwrap()
    };
    let newest: Vec<TrustEventRow> = rows.into_iter().rev().collect();
    assert_eq!(list("acme", 100), newest);
    assert_eq!(list("acme", 2), newest[..2]);
    assert_eq!(list("beta", 100), []);
}
