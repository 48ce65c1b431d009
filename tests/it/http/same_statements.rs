//! The time in which a server refuses an id of another tenant is that of an unknown id, because both are the same work: the
//! same statements, in the same order, on a database server that writes down each of them.
//!
//! A clock would say less. On a busy machine its noise is many times what one more statement costs, so that limits which never
//! fail by chance do not notice one.

use std::{fs, path::PathBuf};

use cloacina::testing::PrivateServer;

use super::{
    access::routes,
    client::Served,
    tenant::{World, ask, is_of_a_tenant},
};
use crate::steer::Place;

/// Comparisons of a request at most. The engine has statements of its own now and then, which do not fall into all of them.
const TRIES: usize = 8;

/// What the server has written down.
struct Log {
    file: PathBuf,
    n_read: usize,
}

impl Log {
    fn of(server: &PrivateServer) -> Self {
        let folder = server.url().split_once("?host=").unwrap().1.to_owned();
        Self { file: PathBuf::from(folder).join("server.log"), n_read: 0 }
    }

    /// The statements since the last time.
    fn statements(&mut self) -> Vec<String> {
        let text = fs::read(&self.file).unwrap();
        let new = String::from_utf8_lossy(&text[self.n_read..]).into_owned();
        self.n_read = text.len();
        let texts = new.lines().filter_map(|line| line.split_once("LOG:  ")?.1.split_once(": "));
        let texts = texts.filter(|(what, _)| what.starts_with("execute") || what.starts_with("statement"));
        // A number in a statement counts transactions, or is that of a parameter.
        texts.map(|(_, text)| text.replace(|letter: char| letter.is_ascii_digit(), "")).collect()
    }
}

#[test]
fn an_id_of_another_tenant_and_an_unknown_one_cost_the_same_statements() {
    let database = PrivateServer::start(&["log_statement=all", "fsync=off"]).unwrap();
    let place = Place { database: database.url(), ..Place::new() };
    let (served, started) = Served::start_with_login(&place);
    let world = World::new(&place, &served, &started);
    let mut log = Log::of(&database);
    let described = routes(&served);
    let named = described.iter().filter(|(_, path)| is_of_a_tenant(path) && path.contains('{'));
    let mut n_statements = 0;
    for (method, path) in named {
        let mut cost = |things| {
            log.statements();
            ask(&world, things, method, path);
            log.statements()
        };
        let mut compared = Vec::new();
        let is_same = (0..TRIES).any(|_| {
            compared = vec![cost(&world.there), cost(&world.unknown)];
            n_statements += compared[0].len();
            compared[0] == compared[1]
        });
        assert!(is_same, "{method} {path}: {compared:#?}");
    }
    assert!(n_statements > 100, "{n_statements} statements were seen");
    assert_eq!(served.end(), Some(0));
}
