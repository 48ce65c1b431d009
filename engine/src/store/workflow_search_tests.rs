//! Lists of workflows: what is found is what fits, a page goes on where the one before it ended, and indexes lead there.
//!
//! Written once and run on both databases. What fits is decided again, row by row, from what was written.

use super::{
    Connection, PackageState, WorkflowSearch,
    connection::{self, Access},
    package_search_tests::PACKAGE_COLUMNS,
    search_tests::plan,
    testing::TestDatabase,
    tests::{Fixture, on_both},
    workflow_search,
    workflow_search::statement,
};

on_both! {
    workflows_that_fit_are_found_in_order_and_page_by_page,
    every_filter_of_workflows_has_its_index,
}

/// Versions; three of each workflow.
const N_VERSIONS: u64 = 6_000;

/// A version as it was written, in the order of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    tenant: String,
    package: String,
    name: String,
    /// The newest comes first.
    newest: std::cmp::Reverse<[u8; 16]>,
    /// Empty for one that is compiled in.
    digest: Vec<u8>,
    state: Option<&'static str>,
}

fn written() -> Vec<Written> {
    let versions = (0..N_VERSIONS).map(|number| {
        let workflow = number / 3;
        let mut id = [0; 16];
        // Not in the order of the names.
        id[..8].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
        let is_compiled_in = workflow % 10 == 0;
        let mut digest = vec![0; 24];
        digest.extend_from_slice(&number.to_be_bytes());
        let state = match number % 3 {
            0 => Some("active"),
            1 => Some("retired"),
            // It was removed.
            _ => None,
        };
        Written {
            tenant: ["acme", "beta", "public"][usize::try_from(workflow % 3).unwrap()].to_owned(),
            package: format!("p{:03}", workflow / 3 % 26),
            name: format!("w{:02}", workflow / 78),
            newest: std::cmp::Reverse(id),
            digest: if is_compiled_in { Vec::new() } else { digest },
            state: state.filter(|_| !is_compiled_in),
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
    // In the order in which they became known, as an engine writes them.
    let mut by_id = versions.clone();
    by_id.sort_by_key(|version| version.newest.0);
    let workflow = |version: &Written| {
        let Written { tenant, package, name, newest, digest, .. } = version;
        let (id, digest) = (database.bytes(&newest.0), database.bytes(digest));
        // Two versions of a workflow that is compiled in differ in their fingerprints.
        format!("({id}, '{tenant}', '{package}', '{name}', {digest}, '{}', '{{}}')", id.replace('\'', ""))
    };
    let columns = "workflow (id, tenant, package, name, digest, fingerprint, descriptor)";
    database.insert(columns, by_id.iter().map(workflow));
    let package = |version: &Written| {
        let Written { tenant, package, digest, state, .. } = version;
        let (digest, state) = (database.bytes(digest), (*state)?);
        let number = digest.replace('\'', "");
        Some(format!("('{tenant}', {digest}, {digest}, '{package}', '{number}', '{state}', 'ann', 0, '[]')"))
    };
    database.insert(PACKAGE_COLUMNS, by_id.iter().filter_map(package));
    (connection, versions)
}

/// Every filter by itself and with others.
fn searches() -> Vec<WorkflowSearch> {
    let word = |word: &str| Some(word.to_owned());
    let mut searches = Vec::new();
    for tenant in [None, word("acme"), word("missing")] {
        for package in [None, word("p007")] {
            for name in [None, word("w03")] {
                for is_current in [false, true] {
                    let (tenant, package, name) = (tenant.clone(), package.clone(), name.clone());
                    searches.push(WorkflowSearch { tenant, package, name, is_current, after: None, n_max: 7 });
                }
            }
        }
    }
    searches
}

fn fits(search: &WorkflowSearch, version: &Written, all: &[Written]) -> bool {
    let is_newest = || {
        let of_workflow = |other: &&Written| {
            (&other.tenant, &other.package, &other.name) == (&version.tenant, &version.package, &version.name)
        };
        all.iter().find(of_workflow) == Some(version)
    };
    let is_current = || match version.digest.is_empty() {
        true => is_newest(),
        false => version.state == Some(PackageState::Active.as_str()),
    };
    search.tenant.as_ref().is_none_or(|tenant| version.tenant == *tenant)
        && search.package.as_ref().is_none_or(|package| version.package == *package)
        && search.name.as_ref().is_none_or(|name| version.name == *name)
        && (!search.is_current || is_current())
}

fn workflows_that_fit_are_found_in_order_and_page_by_page(fixture: Fixture) {
    let (mut connection, versions) = fill(&fixture.database);
    for search in searches() {
        let fitting = versions.iter().filter(|version| fits(&search, version, &versions)).take(28);
        let expected: Vec<([u8; 16], Option<&str>)> =
            fitting.map(|version| (version.newest.0, version.state)).collect();
        let (mut found, mut after) = (Vec::new(), None);
        for _page in 0..4 {
            let page = workflow_search(&mut connection, &WorkflowSearch { after, ..search.clone() }).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.place());
            let seen =
                page.into_iter().map(|found| (*found.row.id.as_bytes(), found.package.map(|one| one.1.as_str())));
            found.extend(seen);
        }
        assert_eq!(found, expected, "{search:?}");
        let is_possible = search.tenant.as_deref() != Some("missing");
        assert_eq!(!found.is_empty(), is_possible, "{search:?}");
    }
}

fn every_filter_of_workflows_has_its_index(fixture: Fixture) {
    let (mut connection, versions) = fill(&fixture.database);
    let middle = &versions[versions.len() / 2];
    let of_middle = WorkflowSearch {
        tenant: Some(middle.tenant.clone()),
        package: Some(middle.package.clone()),
        name: Some(middle.name.clone()),
        n_max: 1,
        ..WorkflowSearch::default()
    };
    let place = workflow_search(&mut connection, &of_middle).unwrap()[0].place();
    for search in searches() {
        for after in [None, Some(place.clone())] {
            let search = WorkflowSearch { after, ..search.clone() };
            let shown = plan(&mut connection, statement(&search)).join("\n");
            let reads_all = ["Seq Scan on workflow", "SCAN workflow\n"].iter().any(|whole| shown.contains(whole));
            assert!(!reads_all, "{search:?}\n{shown}");
            let index = match (&search.tenant, &search.package, &search.name) {
                (_, None, None) => "workflow_list",
                (None, None, Some(_)) => "workflow_name",
                (None, Some(_), None) => "workflow_package",
                // Of several filters the database may choose the one that excludes most.
                _ => continue,
            };
            assert!(shown.contains(index), "{search:?}\n{shown}");
            // Nothing is sorted, and nothing is read that comes before the page. A server may sort the one row that it expects.
            let is_sorted = ["Sort", "TEMP B-TREE"].iter().any(|word| shown.contains(word));
            let is_sorted = is_sorted && search.tenant.as_deref() != Some("missing");
            assert!(!is_sorted, "{search:?}\n{shown}");
        }
    }
}
