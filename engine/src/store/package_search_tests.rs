//! Lists of packages: what is found is what fits, a page goes on where the one before it ended, and indexes lead there.
//!
//! Written once and run on both databases. What fits is decided again, row by row, from what was written.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{
    Connection, PackageSearch, PackageState,
    connection::{self, Access},
    package_find, package_search,
    package_search::statement,
    search_tests::plan,
    testing::TestDatabase,
    tests::{Fixture, on_both},
};

on_both! {
    versions_that_fit_are_found_in_order_and_page_by_page,
    every_filter_of_packages_has_its_index,
}

/// The columns of a version that tests write.
pub(super) const PACKAGE_COLUMNS: &str =
    "package (tenant, digest, archive_digest, name, version, state, actor, registered_at, libraries)";

/// Versions; ten of each name.
const N_VERSIONS: u64 = 6_000;

/// A version as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    tenant: String,
    name: String,
    registered_at: u64,
    digest: [u8; 32],
    state: &'static str,
}

fn written() -> Vec<Written> {
    let versions = (0..N_VERSIONS).map(|number| {
        let mut digest = [0; 32];
        // Not in the order in which they were registered.
        digest[..8].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
        Written {
            tenant: ["acme", "beta", "public"][usize::try_from(number % 3).unwrap()].to_owned(),
            name: format!("p{:03}", number / 3 % (N_VERSIONS / 30)),
            // Several are registered at one moment.
            registered_at: number / 7,
            digest,
            state: if number % 50 == 0 { "quarantined" } else { "retired" },
        }
    });
    let mut versions: Vec<Written> = versions.collect();
    versions.sort();
    versions
}

fn fill(database: &TestDatabase) -> (Connection, Vec<Written>) {
    let connection =
        connection::open(&database.place(), Access::Write { lease: super::LEASE_DEFAULT, synced: false }).unwrap();
    let versions = written();
    let row = |version: &Written| {
        let Written { tenant, name, registered_at, digest, state } = version;
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = database.bytes(digest);
        let libraries = format!(r#"[{{"target":null,"digest":"{digits}","path":"p.so","descriptor":"{{}}"}}]"#);
        format!(
            "('{tenant}', {digest}, {digest}, '{name}', '{digits}', '{state}', 'ann', {registered_at}, '{libraries}')"
        )
    };
    database.insert(PACKAGE_COLUMNS, versions.iter().map(row));
    (connection, versions)
}

/// Every filter by itself and with others.
fn searches() -> Vec<PackageSearch> {
    let word = |word: &str| Some(word.to_owned());
    let mut searches = Vec::new();
    for tenant in [None, word("acme"), word("missing")] {
        for name in [None, word("p007")] {
            for state in [None, Some(PackageState::Quarantined), Some(PackageState::Active)] {
                for digests in [None, Some(digests())] {
                    let (tenant, name) = (tenant.clone(), name.clone());
                    searches.push(PackageSearch { tenant, name, state, digests, after: None, n_max: 7 });
                }
            }
        }
    }
    searches
}

/// A range with a few of the digests.
fn digests() -> (Digest, Digest) {
    let mut ends = [[0; 32], [0xff; 32]];
    ends.iter_mut().for_each(|end| end[0] = 0x42);
    let [first, last] = ends.map(Digest::from_bytes);
    (first, last)
}

fn fits(search: &PackageSearch, version: &Written) -> bool {
    search.tenant.as_ref().is_none_or(|tenant| version.tenant == *tenant)
        && search.name.as_ref().is_none_or(|name| version.name == *name)
        && search.state.is_none_or(|state| version.state == state.as_str())
        && search.digests.is_none_or(|(first, last)| (first..=last).contains(&Digest::from_bytes(version.digest)))
}

fn versions_that_fit_are_found_in_order_and_page_by_page(fixture: Fixture) {
    let (mut connection, versions) = fill(&fixture.database);
    for search in searches() {
        let expected: Vec<[u8; 32]> =
            versions.iter().filter(|version| fits(&search, version)).map(|version| version.digest).collect();
        let (mut found, mut after) = (Vec::new(), None);
        for _page in 0..4 {
            let page = package_search(&mut connection, &PackageSearch { after, ..search.clone() }).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.row.place());
            found.extend(page.into_iter().map(|found| *found.row.digest.as_bytes()));
        }
        assert_eq!(found, expected[..expected.len().min(28)], "{search:?}");
    }
    let one = &versions[3];
    let found = package_find(&mut connection, &one.tenant, Digest::from_bytes(one.digest)).unwrap().unwrap();
    assert_eq!(
        (found.row.name, found.row.registered_at),
        (one.name.clone(), Timestamp::from_unix_micros(one.registered_at))
    );
    assert_eq!(package_find(&mut connection, "missing", Digest::from_bytes(one.digest)).unwrap(), None);
}

fn every_filter_of_packages_has_its_index(fixture: Fixture) {
    let (mut connection, versions) = fill(&fixture.database);
    let middle = &versions[versions.len() / 2];
    let digest = Digest::from_bytes(middle.digest);
    let found = package_find(&mut connection, &middle.tenant, digest).unwrap().unwrap();
    for search in searches() {
        for after in [None, Some(found.row.place())] {
            let search = PackageSearch { after, ..search.clone() };
            let shown = plan(&mut connection, statement(&search)).join("\n");
            let reads_all = ["Seq Scan on package", "SCAN package\n"].iter().any(|whole| shown.contains(whole));
            assert!(!reads_all, "{search:?}\n{shown}");
            if search.digests.is_some() {
                // What is found by a digest is a few, and sorted; the server may take another filter that excludes more.
                let is_alone = search.tenant.is_none() && search.name.is_none() && search.state.is_none();
                assert!(!is_alone || search.after.is_some() || shown.contains("package_digest"), "{search:?}\n{shown}");
                continue;
            }
            let index = match (&search.tenant, &search.name, &search.state) {
                (None, None, None) | (Some(_), None, None) => "package_list",
                (None, Some(_), None) => "package_name",
                (None, None, Some(_)) => "package_state",
                // Of several filters the database may choose the one that excludes most.
                _ => continue,
            };
            assert!(shown.contains(index), "{search:?}\n{shown}");
            // Nothing is sorted, and nothing is read that is not on the page.
            let is_sorted = ["Sort", "TEMP B-TREE"].iter().any(|word| shown.contains(word));
            assert!(!is_sorted, "{search:?}\n{shown}");
        }
    }
}
