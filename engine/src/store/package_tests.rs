//! What the store promises about packages, on both databases: states, shares, events, archives.
//!
//! Rows are made up: what is in an archive or a library is of no interest here. Each change is checked by what the table
//! shows afterwards and by the events that it left.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{
    Activation, ArchiveRow, Commit, Connection, JobResult, LibraryRow, PackageAct, PackageChanged, PackageOrder,
    PackageRefusal, PackageRegistered, PackageRow, PackageState, RunUpdate, WorkflowKey, archive_get,
    migrate::again_from,
    package_activate_in_txn, package_event_list, package_list, package_newest_change, package_quarantine_in_txn,
    package_register_in_txn, package_release_due_in_txn, package_release_in_txn, package_remove_in_txn,
    package_retire_in_txn, package_roll_back_in_txn,
    package_state::{PackageNext, next},
    testing::TestDatabase,
    tests::{Fixture, key, now, on_both},
    workflow_ensure_in_txn,
};
use crate::{core::run::State, id::RunId};

on_both![
    the_first_version_is_active_and_later_ones_when_asked,
    other_content_under_a_version_is_a_conflict,
    two_active_versions_share_new_runs,
    a_quarantined_version_keeps_its_place,
    rolling_back_walks_back,
    archives_live_as_long_as_their_packages,
    a_package_that_runs_need_stays,
    libraries_of_old_versions_are_known_without_their_target,
];

fn at(micros: u64) -> Timestamp {
    Timestamp::from_unix_micros(micros)
}

fn package(version: &str, content: u8) -> PackageRow {
    let digest = Digest::from_bytes([content; 32]);
    PackageRow {
        tenant: "public".to_owned(),
        digest,
        archive_digest: digest,
        name: "p".to_owned(),
        version: version.to_owned(),
        state: PackageState::Registered,
        actor: "somebody".to_owned(),
        registered_at: at(u64::from(content)),
        libraries: vec![library(Some("x86_64-unknown-linux-gnu"), digest, "p.so"), library(None, digest, "old/p.so")],
        share: None,
        quarantine: None,
    }
}

fn library(target: Option<&str>, digest: Digest, path: &str) -> LibraryRow {
    LibraryRow {
        target: target.map(str::to_owned),
        digest,
        path: path.to_owned(),
        descriptor: "{}".to_owned(),
        definition: None,
    }
}

fn archive(text: &str) -> ArchiveRow {
    ArchiveRow { bytes: text.as_bytes().to_vec(), signatures: Vec::new() }
}

fn order(row: &PackageRow, reason: Option<&str>) -> PackageOrder {
    let reason = reason.map(str::to_owned);
    PackageOrder { tenant: row.tenant.clone(), digest: row.digest, actor: "ann".to_owned(), at: at(99), reason }
}

impl Fixture {
    fn change<T: Send + 'static>(&self, mut change: impl FnMut(&mut Connection) -> JobResult<T> + Send + 'static) -> T {
        self.store.write_blocking("test", move |connection| change(connection)).unwrap()
    }

    fn register(&self, row: &PackageRow, archive: ArchiveRow, activation: Activation) -> PackageRegistered {
        let row = row.clone();
        self.change(move |connection| package_register_in_txn(connection, &row, &archive, activation))
    }

    fn add_version(&self, version: &str, content: u8) -> PackageRow {
        let row = package(version, content);
        assert_eq!(self.register(&row, archive(version), Activation::IfFirst), PackageRegistered::New);
        row
    }

    fn activate(&self, row: &PackageRow, share: Option<u8>) -> PackageChanged {
        let order = order(row, None);
        self.change(move |connection| package_activate_in_txn(connection, &order, share))
    }

    fn retire(&self, row: &PackageRow) -> PackageChanged {
        let order = order(row, None);
        self.change(move |connection| package_retire_in_txn(connection, &order))
    }

    fn quarantine(&self, row: &PackageRow, until: Option<Timestamp>) -> PackageChanged {
        let order = order(row, Some("it crashed"));
        self.change(move |connection| package_quarantine_in_txn(connection, &order, until))
    }

    fn release(&self, row: &PackageRow) -> PackageChanged {
        let order = order(row, None);
        self.change(move |connection| package_release_in_txn(connection, &order))
    }

    fn remove(&self, row: &PackageRow) -> PackageChanged {
        let order = order(row, None);
        self.change(move |connection| package_remove_in_txn(connection, &order))
    }

    fn roll_back(&self) -> (PackageChanged, Option<Digest>) {
        let order = order(&package("", 0), None);
        self.change(move |connection| package_roll_back_in_txn(connection, &order, "p"))
    }

    /// Version, state and share of each, as one line.
    fn shown(&self) -> String {
        let rows = self.change(package_list);
        let shown = rows.iter().map(|row| {
            let share = row.share.map(|share| format!(" {share}%"));
            let before = row.quarantine.as_ref().map(|quarantine| format!(" ({})", quarantine.before));
            format!("{} {}{}{}", row.version, row.state, share.unwrap_or_default(), before.unwrap_or_default())
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The events since that one.
    fn events(&self, since: i64) -> Vec<String> {
        let events = self.change(|connection| package_event_list(connection, "public", "p"));
        let state = |state: Option<PackageState>| state.map_or("-", PackageState::as_str);
        let shown = events.iter().filter(|event| event.id > since).map(|event| {
            let share = event.share.map(|share| format!(" {share}%")).unwrap_or_default();
            let (from, to) = (state(event.from), state(event.to));
            format!("{} {} {from} {to}{share} by {}", event.version, event.kind, event.actor)
        });
        shown.collect()
    }

    fn newest(&self) -> i64 {
        self.store.write_blocking("test", package_newest_change).unwrap()
    }
}

fn the_first_version_is_active_and_later_ones_when_asked(fixture: Fixture) {
    let (first, second) = (fixture.add_version("1", 1), fixture.add_version("2", 2));
    assert_eq!(fixture.shown(), "1 active, 2 registered");
    assert_eq!(fixture.register(&first, archive("1"), Activation::IfFirst), PackageRegistered::Again);
    assert_eq!(fixture.register(&second, archive("2"), Activation::Now), PackageRegistered::Again);
    assert_eq!(fixture.shown(), "1 retired, 2 active");
    assert_eq!(
        fixture.events(0),
        [
            "1 registered - registered by somebody",
            "1 activated registered active by somebody",
            "2 registered - registered by somebody",
            "1 retired active retired by somebody",
            "2 activated registered active by somebody",
        ]
    );
    // A request without an effect leaves no event.
    let newest = fixture.newest();
    assert!(newest > 0);
    assert_eq!(fixture.activate(&second, None), PackageChanged::Unchanged);
    assert_eq!(fixture.retire(&first), PackageChanged::Unchanged);
    assert_eq!(fixture.release(&first), PackageChanged::Unchanged);
    assert_eq!((fixture.newest(), fixture.activate(&package("9", 9), None)), (newest, PackageChanged::Missing));
    assert_eq!(fixture.retire(&second), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 retired, 2 retired");
    assert_eq!(fixture.remove(&second), PackageChanged::Done);
    let expected = ["2 retired active retired by ann", "2 removed retired - by ann"];
    assert_eq!((fixture.shown(), fixture.events(newest)), ("1 retired".to_owned(), expected.map(str::to_owned).into()));
}

fn other_content_under_a_version_is_a_conflict(fixture: Fixture) {
    let first = fixture.add_version("1", 1);
    let answer = fixture.register(&package("1", 3), archive("other"), Activation::Now);
    assert_eq!(answer, PackageRegistered::Conflict { registered: first.digest });
    assert_eq!(fixture.shown(), "1 active");
    let rows = fixture.change(package_list);
    assert_eq!(rows, [PackageRow { state: PackageState::Active, ..first }]);
}

fn libraries_of_old_versions_are_known_without_their_target(fixture: Fixture) {
    let row = fixture.add_version("1", 1);
    let listed = || fixture.store.write_blocking("test", package_list).unwrap().remove(0).libraries;
    assert_eq!(listed(), row.libraries);
    let again = |connection: &mut Connection| {
        again_from(connection, "0010");
        JobResult::Ok(())
    };
    fixture.store.write_blocking("test", again).unwrap();
    let first = LibraryRow { target: None, ..row.libraries[0].clone() };
    assert_eq!(listed(), [first]);
    // The one that registers it again tells all of them.
    fixture.change({
        let row = row.clone();
        move |connection| package_register_in_txn(connection, &row, &archive("1"), Activation::Later)
    });
    assert_eq!(listed(), row.libraries);
}

fn two_active_versions_share_new_runs(fixture: Fixture) {
    let (first, second, third) =
        (fixture.add_version("1", 1), fixture.add_version("2", 2), fixture.add_version("3", 3));
    let newest = fixture.newest();
    let no_rest = PackageChanged::Refused(PackageRefusal::NoRest { version: "1".to_owned() });
    assert_eq!(fixture.activate(&first, Some(10)), no_rest);
    assert_eq!(fixture.activate(&second, Some(10)), PackageChanged::Done);
    assert_eq!(fixture.activate(&second, Some(10)), PackageChanged::Unchanged);
    assert_eq!(fixture.shown(), "1 active, 2 active 10%, 3 registered");
    assert_eq!(fixture.activate(&second, Some(50)), PackageChanged::Done);
    let shared = || PackageChanged::Refused(PackageRefusal::Shared { version: "1".to_owned(), with: "2".to_owned() });
    assert_eq!((fixture.retire(&first), fixture.remove(&first)), (shared(), shared()));
    // Another one takes its place, and the rest stays.
    assert_eq!(fixture.activate(&third, Some(20)), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 active, 2 retired, 3 active 20%");
    assert_eq!(fixture.activate(&third, None), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 retired, 2 retired, 3 active");
    assert_eq!(
        fixture.events(newest),
        [
            "2 activated registered active 10% by ann",
            "2 activated active active 50% by ann",
            "2 retired active retired by ann",
            "3 activated registered active 20% by ann",
            "1 retired active retired by ann",
            "3 activated active active by ann",
        ]
    );
    // The one that gets the rest can get all again.
    fixture.activate(&first, Some(1));
    assert_eq!(fixture.activate(&third, None), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 retired, 2 retired, 3 active");
}

fn a_quarantined_version_keeps_its_place(fixture: Fixture) {
    let (first, second) = (fixture.add_version("1", 1), fixture.add_version("2", 2));
    let newest = fixture.newest();
    assert_eq!(fixture.quarantine(&first, None), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 quarantined (active), 2 registered");
    let refused = |act| {
        let state = PackageState::Quarantined;
        PackageChanged::Refused(PackageRefusal::State { version: "1".to_owned(), state, act })
    };
    assert_eq!(fixture.activate(&first, None), refused(PackageAct::Activate));
    assert_eq!(fixture.retire(&first), refused(PackageAct::Retire));
    let answer = fixture.register(&first, archive("1"), Activation::Now);
    assert!(matches!(answer, PackageRegistered::Refused(PackageRefusal::State { .. })), "{answer:?}");
    // Again, with a time; it still goes back to what it was.
    assert_eq!(fixture.quarantine(&first, Some(at(200))), PackageChanged::Done);
    let release_due = |now| fixture.change(move |connection| package_release_due_in_txn(connection, at(now)));
    assert_eq!((release_due(199), release_due(200), release_due(200)), (0, 1, 0));
    assert_eq!(fixture.shown(), "1 active, 2 registered");
    // Another takes the place only when somebody says so; then it is not given back.
    assert_eq!(fixture.quarantine(&first, None), PackageChanged::Done);
    assert_eq!(fixture.activate(&second, None), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 quarantined (retired), 2 active");
    assert_eq!(fixture.release(&first), PackageChanged::Done);
    assert_eq!(fixture.shown(), "1 retired, 2 active");
    assert_eq!(
        fixture.events(newest),
        [
            "1 quarantined active quarantined by ann",
            "1 quarantined quarantined quarantined by ann",
            "1 released quarantined active by engine",
            "1 quarantined active quarantined by ann",
            "1 retired quarantined quarantined by ann",
            "2 activated registered active by ann",
            "1 released quarantined retired by ann",
        ]
    );
}

fn rolling_back_walks_back(fixture: Fixture) {
    assert_eq!(fixture.roll_back(), (PackageChanged::Missing, None));
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|number| fixture.add_version(&number.to_string(), number));
    let none = (PackageChanged::Refused(PackageRefusal::NoEarlier), None);
    assert_eq!(fixture.roll_back(), none);
    for row in [&second, &third, &fourth] {
        fixture.activate(row, None);
    }
    let done = |row: &PackageRow| (PackageChanged::Done, Some(row.digest));
    assert_eq!(fixture.roll_back(), done(&third));
    assert_eq!(fixture.shown(), "1 retired, 2 retired, 3 active, 4 retired");
    // What was rolled back from is not what was before; what is gone is stepped over.
    fixture.remove(&second);
    assert_eq!(fixture.roll_back(), done(&first));
    assert_eq!(fixture.roll_back(), none);
    // From here on it goes as if the rest had never been.
    fixture.activate(&fourth, None);
    assert_eq!(fixture.roll_back(), done(&first));
    // A share is ended first, and a retired version is active again.
    fixture.activate(&fourth, Some(30));
    assert_eq!(fixture.roll_back(), done(&first));
    assert_eq!(fixture.shown(), "1 active, 3 retired, 4 retired");
    fixture.retire(&first);
    assert_eq!(fixture.roll_back(), done(&first));
    // What was before and is quarantined is not silently stepped over.
    fixture.activate(&third, None);
    fixture.quarantine(&first, None);
    assert!(matches!(fixture.roll_back().0, PackageChanged::Refused(PackageRefusal::State { .. })));
}

fn archives_live_as_long_as_their_packages(fixture: Fixture) {
    let kept = |name: u8| {
        let digest = Digest::from_bytes([name; 32]);
        fixture.store.write_blocking("test", move |connection| archive_get(connection, digest)).unwrap()
    };
    let row = package("1", 1);
    let other_tenant = PackageRow { tenant: "acme".to_owned(), ..package("1", 1) };
    let signed = |bytes: &str, signatures: &[&str]| ArchiveRow {
        signatures: signatures.iter().map(|signature| signature.as_bytes().to_vec()).collect(),
        ..archive(bytes)
    };
    fixture.register(&row, signed("one", &["s1"]), Activation::IfFirst);
    fixture.register(&other_tenant, archive("one"), Activation::IfFirst);
    assert_eq!(kept(1), Some(signed("one", &["s1"])));
    let newest = fixture.newest();
    fixture.register(&row, signed("one", &["s1", "s2"]), Activation::IfFirst);
    let mut found = kept(1).unwrap();
    found.signatures.sort();
    assert_eq!(found, signed("one", &["s1", "s2"]));
    assert_eq!(fixture.events(newest), ["1 signatures_added active active by somebody"]);
    // Other bytes of the same content are kept only if they come with a signature.
    let repacked = PackageRow { archive_digest: Digest::from_bytes([7; 32]), ..row.clone() };
    fixture.register(&repacked, archive("two"), Activation::IfFirst);
    assert_eq!((kept(7), fixture.change(package_list)[0].archive_digest), (None, other_tenant.archive_digest));
    fixture.register(&repacked, signed("two", &["s3"]), Activation::IfFirst);
    assert_eq!((kept(7), kept(1).is_some()), (Some(signed("two", &["s3"])), true));
    // Gone with the last package that names it.
    assert_eq!(fixture.remove(&other_tenant), PackageChanged::Done);
    assert_eq!((kept(1), kept(7).is_some()), (None, true));
    assert_eq!(fixture.remove(&row), PackageChanged::Done);
    assert_eq!((kept(7), fixture.remove(&row)), (None, PackageChanged::Missing));
}

fn a_package_that_runs_need_stays(fixture: Fixture) {
    let row = fixture.add_version("1", 1);
    let key = WorkflowKey { package: "p".to_owned(), digest: row.digest.as_bytes().to_vec(), ..key() };
    let ensure = move |connection: &mut _| workflow_ensure_in_txn(connection, &key, "{}", now());
    let workflow = fixture.store.write_blocking("test", ensure).unwrap();
    let run = RunId::new(now());
    let mut create = fixture.create(run);
    if let Some(new) = &mut create.create {
        new.workflow = workflow;
    }
    fixture.commit(vec![create]);
    let needed = PackageChanged::Refused(PackageRefusal::Needed { runs: vec![run] });
    assert_eq!(fixture.remove(&row), needed);
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: Some(now()) };
    let end = Commit { run, epoch: fixture.epoch, term: 0, create: None, events: Vec::new(), update: Some(finish) };
    fixture.commit(vec![end]);
    assert_eq!(fixture.remove(&row), PackageChanged::Done);
}

#[test]
fn the_page_about_packages_shows_the_states_of_the_code() {
    let header = PackageAct::ALL.map(PackageAct::as_str).join(" | ");
    let mut expected = vec![format!("| state | {header} |"), format!("|---|{}", "---|".repeat(PackageAct::ALL.len()))];
    for state in PackageState::ALL {
        let cells = PackageAct::ALL.map(|act| match next(state, act) {
            PackageNext::To(to) => to.as_str(),
            PackageNext::Before => "as before",
            PackageNext::Same => "-",
            PackageNext::Gone => "gone",
            PackageNext::Refused => "refused",
        });
        assert_eq!(state.as_str().parse(), Ok(state));
        expected.push(format!("| **{state}** | {} |", cells.join(" | ")));
    }
    let page = include_str!("../../../docs/concepts/packages.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(shown, expected, "docs/concepts/packages.md must show:\n\n{}", expected.join("\n"));
}
