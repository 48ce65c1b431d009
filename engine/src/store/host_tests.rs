//! Accounts of processes: each once, as it was read last, its end for good, and gone when it is old.
//!
//! Written once and run on both databases. What is read of a process may be written later than what was read after it, so
//! the order of writes must not count.

use std::time::Duration;

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;
use diesel::{RunQueryDsl, sql_query};

use super::{
    Connection, HostEnd, HostRow, HostSum, host_delete_in_txn, host_oldest, host_put_in_txn, host_sum,
    testing::TestDatabase,
    tests::{Fixture, now, on_both},
};
use crate::{core::effect::after, id::HostId};

on_both! {
    a_process_counts_once_as_it_was_read_last,
    the_end_of_a_process_stays,
    what_is_not_known_is_counted_apart,
    processes_count_in_the_time_in_which_they_lived,
    the_oldest_accounts_are_removed_some_at_a_time,
}

const MIB: i64 = 1 << 20;

fn at(seconds: u64) -> Timestamp {
    after(now(), Duration::from_secs(seconds))
}

fn row(tenant: &str, package: &str, (began, read): (u64, u64)) -> HostRow {
    HostRow {
        id: HostId::new(now()),
        tenant: tenant.to_owned(),
        digest: Digest::of(package.as_bytes()),
        began_at: at(began),
        read_at: at(read),
        end: None,
        n_calls: 3,
        cpu_us: Some(1_000),
        peak_bytes: Some(20 * MIB),
    }
}

fn put(fixture: &Fixture, rows: &[HostRow]) {
    let rows = rows.to_vec();
    fixture.store.write_blocking("test", move |connection| host_put_in_txn(connection, &rows)).unwrap();
}

fn sums(fixture: &Fixture, from: Option<u64>, before: Option<u64>) -> Vec<HostSum> {
    let (from, before) = (from.map(at), before.map(at));
    let read = move |connection: &mut Connection| host_sum(connection, from, before);
    let mut sums = fixture.store.write_blocking("test", read).unwrap();
    sums.sort_by(|one, other| (&one.tenant, one.digest.hex()).cmp(&(&other.tenant, other.digest.hex())));
    sums
}

fn a_process_counts_once_as_it_was_read_last(fixture: Fixture) {
    let first = row("public", "billing", (0, 10));
    put(&fixture, std::slice::from_ref(&first));
    let later = HostRow { read_at: at(20), n_calls: 7, cpu_us: Some(9_000), peak_bytes: Some(30 * MIB), ..first };
    let other = row("public", "billing", (5, 8));
    let elsewhere = row("acme", "billing", (5, 8));
    put(&fixture, &[later.clone(), other, elsewhere]);
    let [acme, public] = sums(&fixture, None, None).try_into().unwrap();
    assert_eq!((acme.tenant.as_str(), acme.n_hosts, acme.n_calls), ("acme", 1, 3));
    let expected = HostSum {
        tenant: "public".to_owned(),
        digest: later.digest,
        n_hosts: 2,
        n_crashed: 0,
        n_calls: 10,
        n_cpu: 2,
        cpu_us: 10_000,
        n_peak: 2,
        peak_bytes: Some(30 * MIB),
    };
    assert_eq!(public, expected);
}

fn the_end_of_a_process_stays(fixture: Fixture) {
    let living = row("public", "billing", (0, 10));
    let ended = HostRow { end: Some(HostEnd::Crashed), read_at: at(12), n_calls: 8, ..living.clone() };
    put(&fixture, &[living.clone(), ended.clone()]);
    // What was read before its end, and is written after it.
    put(&fixture, &[HostRow { n_calls: 5, ..living }]);
    put(&fixture, &[HostRow { end: Some(HostEnd::Released), n_calls: 9, ..ended }]);
    let [sum] = sums(&fixture, None, None).try_into().unwrap();
    assert_eq!((sum.n_hosts, sum.n_crashed, sum.n_calls), (1, 1, 8));
}

fn what_is_not_known_is_counted_apart(fixture: Fixture) {
    let unknown = HostRow { cpu_us: None, peak_bytes: None, ..row("public", "billing", (0, 10)) };
    put(&fixture, std::slice::from_ref(&unknown));
    let [sum] = sums(&fixture, None, None).try_into().unwrap();
    assert_eq!((sum.n_cpu, sum.cpu_us, sum.n_peak, sum.peak_bytes), (0, 0, 0, None));
    put(&fixture, &[row("public", "billing", (0, 10))]);
    let [sum] = sums(&fixture, None, None).try_into().unwrap();
    assert_eq!((sum.n_hosts, sum.n_cpu, sum.cpu_us, sum.n_peak), (2, 1, 1_000, 1));
}

fn processes_count_in_the_time_in_which_they_lived(fixture: Fixture) {
    put(&fixture, &[row("public", "billing", (100, 200))]);
    for (from, before, expected) in [
        (None, None, 1),
        (Some(200), None, 1),
        (Some(201), None, 0),
        (None, Some(101), 1),
        (None, Some(100), 0),
        (Some(150), Some(160), 1),
    ] {
        assert_eq!(sums(&fixture, from, before).len(), expected, "{from:?} {before:?}");
    }
}

fn the_oldest_accounts_are_removed_some_at_a_time(fixture: Fixture) {
    let rows: Vec<HostRow> = (1..=5).map(|read| row("public", "billing", (0, read * 10))).collect();
    put(&fixture, &rows);
    let oldest = || fixture.store.write_blocking("test", host_oldest).unwrap();
    let delete = |until: u64, n_max: i64| {
        let delete = move |connection: &mut Connection| host_delete_in_txn(connection, at(until), n_max);
        fixture.store.write_blocking("test", delete).unwrap()
    };
    assert_eq!(delete(5, 100), 0);
    assert_eq!((delete(40, 2), oldest()), (2, Some(at(30))));
    assert_eq!((delete(40, 2), oldest()), (2, Some(at(50))));
    assert_eq!((delete(40, 2), delete(50, 2), oldest()), (0, 1, None));
    // What the database itself refuses.
    let bad = |connection: &mut Connection| sql_query("UPDATE package_host SET ended = 'lost'").execute(connection);
    put(&fixture, &rows);
    fixture.store.write_blocking("test", bad).unwrap_err();
}
