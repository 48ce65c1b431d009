//! Migrations are twins: a number has one name and both directions for every database that there is.
//!
//! A database is a folder of `engine/migrations`. One database alone has no twins to miss.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::finding::Finding;
use super::finding::enforce;
use super::repository::Repository;

const FOLDER: &str = "engine/migrations/";
const DATABASES: &[&str] = &["sqlite", "postgres"];
const DIRECTIONS: &[&str] = &["up.sql", "down.sql"];

#[test]
fn migrations_have_their_twins() {
    enforce("migration", check(Repository::here()));
}

fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut complain = |path: String, found: String, remedy| {
        findings.push(Finding { rule: "B10", path, line: 0, found, remedy });
    };
    // Database → migration → its files.
    let mut databases: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for (path, _) in repository.files() {
        let Some(inside) = path.strip_prefix(FOLDER) else { continue };
        match inside.split('/').collect::<Vec<_>>()[..] {
            [database, migration, direction] if DATABASES.contains(&database) && DIRECTIONS.contains(&direction) => {
                databases.entry(database).or_default().entry(migration).or_default().insert(direction);
            }
            _ => complain(path.to_owned(), "not <database>/NNNN_name/{up,down}.sql".to_owned(), "follow the layout"),
        }
    }
    let all: BTreeSet<&str> = databases.values().flat_map(|migrations| migrations.keys().copied()).collect();
    let number = |migration: &str| migration.split_once('_').map_or("", |(number, _)| number).to_owned();
    let mut numbers = BTreeSet::new();
    for migration in &all {
        let folder = format!("{FOLDER}*/{migration}");
        let number = number(migration);
        // A gap is a migration that is still being written; its number is taken.
        let is_numbered = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        if !is_numbered || !numbers.insert(number) {
            complain(folder, "has no number of its own".to_owned(), "number migrations as NNNN, each number once");
        }
        for (database, migrations) in &databases {
            let missing = DIRECTIONS.iter().filter(|direction| {
                !migrations.get(migration).is_some_and(|directions| directions.contains(*direction))
            });
            for direction in missing {
                let path = format!("{FOLDER}{database}/{migration}/{direction}");
                complain(path, "is not there".to_owned(), "write it, with the same effect as for the other databases");
            }
        }
    }
    findings
}

#[test]
fn a_missing_twin_is_found() {
    for (paths, expected) in [
        (&["sqlite/0001_a/up.sql", "sqlite/0001_a/down.sql"][..], 0),
        (&["sqlite/0001_a/up.sql"], 1),
        (&["sqlite/0001_a/up.sql", "sqlite/0001_a/down.sql", "postgres/0001_b/up.sql", "postgres/0001_b/down.sql"], 5),
        (&["sqlite/0002_a/up.sql", "sqlite/0002_a/down.sql"], 0),
        (&["sqlite/02_a/up.sql", "sqlite/02_a/down.sql"], 1),
        (&["0001_a/up.sql"], 1),
    ] {
        let paths: Vec<String> = paths.iter().map(|path| format!("{FOLDER}{path}")).collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        assert_eq!(check(&Repository::of(&files)).len(), expected, "{paths:?}");
    }
}
