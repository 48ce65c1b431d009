//! Log lines in the store: in order, bounded, and in nobody's way.
//!
//! Each behavior is tried on both databases. That lines are never waited for is seen by a writer that is held up.

use cloacina_workflow::Level;
use diesel::connection::SimpleConnection;

use super::{
    Connection, Full, LogRow, LogSearch, log, log_list,
    search_tests::plan,
    testing::TestDatabase,
    tests::{Fixture, completed, hold_writer, names, now, on_both},
};
use crate::id::RunId;

on_both! {
    lines_are_stored_in_their_order,
    lines_ride_along_with_commits,
    the_last_lines_are_stored_when_the_store_is_closed,
    lines_are_found_by_what_they_are,
    a_full_queue_refuses_lines_and_waits_for_nobody,
    lines_that_cannot_be_stored_harm_no_commit,
    lines_of_a_run_are_found_by_its_index,
}

fn line(run: RunId, attempt: i32, message: &str) -> LogRow {
    LogRow {
        run,
        task: 0,
        attempt,
        at: now(),
        level: Level::Info,
        target: "test".to_owned(),
        message: message.to_owned(),
        fields: String::new(),
        n_dropped: 0,
    }
}

fn all(run: RunId) -> LogSearch {
    LogSearch { run, task: None, attempt: None, level: None, since: None, after: 0, from_end: false, n_max: 100_000 }
}

fn find(fixture: &Fixture, search: LogSearch) -> Vec<(i64, LogRow)> {
    let read = move |connection: &mut Connection| log_list(connection, &search);
    fixture.store.write_blocking("test", read).unwrap()
}

fn flush(fixture: &Fixture) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(fixture.store.log_flush()).unwrap();
}

fn lines_are_stored_in_their_order(fixture: Fixture) {
    let (run, other) = (RunId::new(now()), RunId::new(now()));
    let logs = fixture.store.logs();
    let lines: Vec<LogRow> = (0..2_000).map(|number| line(run, 1, &format!("{number} \u{fffd} ünï"))).collect();
    for line in &lines {
        logs.push(line.clone()).unwrap();
        logs.push(LogRow { run: other, fields: r#"{"a":1}"#.to_owned(), ..line.clone() }).unwrap();
    }
    flush(&fixture);
    let found = find(&fixture, all(run));
    assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(found.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), lines);
    assert_eq!(find(&fixture, all(other)).len(), 2_000);
}

fn lines_ride_along_with_commits(fixture: Fixture) {
    let run = RunId::new(now());
    let logs = fixture.store.logs();
    fixture.commit(vec![fixture.create(run)]);
    logs.push(line(run, 1, "before its end")).unwrap();
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 1, 0)])), ["Committed"]);
    // Asked on a connection of its own, without making the writer do anything.
    let mut view = super::View::open(&fixture.database.database).unwrap();
    assert_eq!(view.read("test", |view| log_list(view, &all(run))).unwrap().len(), 1);
}

fn the_last_lines_are_stored_when_the_store_is_closed(fixture: Fixture) {
    let run = RunId::new(now());
    let logs = fixture.store.logs();
    for number in 0..1_000 {
        logs.push(line(run, 1, &number.to_string())).unwrap();
    }
    fixture.store.close();
    assert_eq!(logs.push(line(run, 1, "too late")), Err(Full));
    let mut view = super::View::open(&fixture.database.database).unwrap();
    assert_eq!(view.read("test", |view| log_list(view, &all(run))).unwrap().len(), 1_000);
}

fn lines_are_found_by_what_they_are(fixture: Fixture) {
    let run = RunId::new(now());
    let later = cloacina_workflow::Timestamp::from_unix_micros(now().unix_micros() + 5);
    let logs = fixture.store.logs();
    for (task, attempt, level, at, message) in [
        (0, 1, Level::Error, now(), "a"),
        (0, 2, Level::Info, now(), "b"),
        (1, 1, Level::Debug, later, "c"),
        (1, 1, Level::Warn, later, "d"),
    ] {
        logs.push(LogRow { task, level, at, ..line(run, attempt, message) }).unwrap();
    }
    flush(&fixture);
    let found = |change: &dyn Fn(&mut LogSearch)| {
        let mut search = all(run);
        change(&mut search);
        find(&fixture, search).into_iter().map(|(_, row)| row.message).collect::<String>()
    };
    let second = find(&fixture, all(run))[1].0;
    assert_eq!(found(&|_| {}), "abcd");
    assert_eq!(found(&|search| search.task = Some(1)), "cd");
    assert_eq!(found(&|search| search.attempt = Some(2)), "b");
    assert_eq!(found(&|search| search.level = Some(Level::Warn)), "ad");
    assert_eq!(found(&|search| search.since = Some(later)), "cd");
    assert_eq!(found(&|search| search.after = second), "cd");
    assert_eq!(found(&|search| search.n_max = 2), "ab");
    assert_eq!(found(&|search| (search.from_end, search.n_max) = (true, 2)), "cd");
    assert_eq!(found(&|search| (search.from_end, search.n_max, search.task) = (true, 1, Some(0))), "b");
    assert_eq!(found(&|search| search.run = RunId::new(now())), "");
}

fn a_full_queue_refuses_lines_and_waits_for_nobody(fixture: Fixture) {
    let held = hold_writer(&fixture.store);
    let run = RunId::new(now());
    let logs = fixture.store.logs();
    let n_taken = (0..100_000).take_while(|_| logs.push(line(run, 1, "line")).is_ok()).count();
    assert!((10_000..100_000).contains(&n_taken), "{n_taken}");
    assert!(!logs.has_room());
    logs.push(LogRow { n_dropped: 7, ..line(run, 1, "") }).unwrap();
    drop(held);
    flush(&fixture);
    let found = find(&fixture, all(run));
    assert_eq!((found.len(), found[n_taken].1.n_dropped), (n_taken + 1, 7));
    assert!(logs.has_room());
}

fn lines_that_cannot_be_stored_harm_no_commit(fixture: Fixture) {
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let hide = |connection: &mut Connection| connection.batch_execute("ALTER TABLE log RENAME TO elsewhere");
    fixture.store.write_blocking("test", hide).unwrap();
    fixture.store.logs().push(line(run, 1, "lost")).unwrap();
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 1, 0)])), ["Committed"]);
    let show = |connection: &mut Connection| connection.batch_execute("ALTER TABLE elsewhere RENAME TO log");
    fixture.store.write_blocking("test", show).unwrap();
    fixture.store.logs().push(line(run, 1, "kept")).unwrap();
    flush(&fixture);
    assert_eq!(find(&fixture, all(run)).len(), 1);
}

fn lines_of_a_run_are_found_by_its_index(fixture: Fixture) {
    // Of a run that has most of the lines, and of one that has few.
    let (talks, is_silent) = (RunId::new(now()), RunId::new(now()));
    let logs = fixture.store.logs();
    for number in 0..4_000 {
        let run = if number % 500 == 7 { is_silent } else { talks };
        logs.push(line(run, 1, "a line")).unwrap();
    }
    flush(&fixture);
    fixture.database.execute("ANALYZE");
    let later = cloacina_workflow::Timestamp::from_unix_micros(now().unix_micros() + 5);
    let explain = move |connection: &mut Connection| {
        let is_file = matches!(connection, Connection::Sqlite(_));
        let mut shown = Vec::new();
        for run in [talks, is_silent] {
            for from_end in [false, true] {
                let any = LogSearch { from_end, after: 5, n_max: 100, ..all(run) };
                let (task, attempt, level, since) = (Some(1), Some(2), Some(Level::Warn), Some(later));
                for search in [LogSearch { task, attempt, level, since, ..any.clone() }, any] {
                    let steps = plan(connection, log::statement(is_file, &search));
                    shown.push(format!("{search:?}\n{}", steps.join("\n")));
                }
            }
        }
        super::JobResult::Ok(shown)
    };
    for shown in fixture.store.write_blocking("test", explain).unwrap() {
        assert!(shown.contains("log_run") && !shown.contains("TEMP B-TREE") && !shown.contains("Sort"), "{shown}");
    }
}
