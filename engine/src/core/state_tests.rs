//! The tables of the states against the page that shows them.

use super::{decide::INTERRUPTIONS_MAX, run, task};

#[test]
fn the_page_about_states_shows_the_tables_of_the_code() {
    use run::Event as R;
    let runs = [
        (R::Started, "started"),
        (R::Paused, "paused"),
        (R::Resumed, "resumed"),
        (R::AllCompleted, "all completed"),
        (R::OptionalFailed, "only optional ones failed"),
        (R::RequiredFailed, "one failed, or out of time"),
        (R::Cancelled, "cancelled"),
    ];
    let mut expected = header("run", &runs.map(|(_, name)| name));
    for state in run::State::ALL {
        let cells = runs.map(|(event, _)| run::next(state, event).map_or("-", run::State::as_str));
        assert!(!state.is_terminal() || cells.iter().all(|cell| *cell == "-"));
        assert_eq!(state.as_str().parse(), Ok(state));
        expected += &format!("| **{state}** | {} |\n", cells.join(" | "));
    }
    expected += "\n";

    use task::Event as T;
    let tasks = [
        (T::Released, "released"),
        (T::Ruled, "ruled out"),
        (T::Started, "got a slot"),
        (T::Succeeded, "succeeded"),
        (T::Reused, "reused"),
        (T::GaveUp, "failed permanently"),
        (T::Postponed, "failed, retry later"),
        (T::Due, "retry due"),
        (T::Interrupted, "interrupted"),
        (T::Cancelled, "cancelled"),
    ];
    expected += &header("task", &tasks.map(|(_, name)| name));
    for state in task::State::ALL {
        let cells = tasks.map(|(event, _)| task::next(state, event).map_or("-", task::State::as_str));
        assert!(!state.is_terminal() || cells.iter().all(|cell| *cell == "-"));
        assert_eq!(state.as_str().parse(), Ok(state));
        expected += &format!("| **{state}** | {} |\n", cells.join(" | "));
    }
    let page = include_str!("../../../docs/reference/states.md");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    let tables: Vec<&str> = expected.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(shown, tables, "docs/reference/states.md must show:\n\n{expected}");
    let refused = task::next(task::State::Completed, T::Started).unwrap_err();
    assert_eq!(refused.to_string(), "a task that is completed cannot become running");
    assert_eq!(INTERRUPTIONS_MAX, 3);
}

fn header(of: &str, events: &[&str]) -> String {
    format!("| {of} | {} |\n|---|{}\n", events.join(" | "), "---|".repeat(events.len()))
}
