//! What stands on the screen of a terminal: tables, help texts and the display of a run, in terminals of two sizes, with
//! colors, without, and on one that can only print lines.
//!
//! The program runs on a pseudo-terminal, and an emulator reads what it wrote. A table is aligned if each of its cells begins
//! where its heading does.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cloacina_tests::{archive, library};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::cmd::{MIXED, PATIENT, program};

/// Rows and columns.
type Size = (u16, u16);

const SIZES: [Size; 2] = [(24, 80), (30, 100)];

/// A terminal that can do everything.
const ABLE: &str = "xterm-256color";

/// More lines than any command of these tests writes.
const LINES: u16 = 400;

/// More tasks than lines of a terminal, and one with a long name that fails with a long message.
fn many() -> String {
    let task = |index: u32| {
        let name = if index == 3 {
            "task_with_a_name_that_is_about_as_long_as_people_make_them".to_owned()
        } else {
            format!("task_{index}")
        };
        format!(r#"{{\"id\":\"{name}\",\"index\":{index},\"blocking\":true}}"#)
    };
    let tasks: Vec<String> = (0..40).map(task).collect();
    let described = format!(
        r#"{{\"format\":1,\"abi\":\"1.0\",\"package\":\"many\",\"version\":\"1.0.0\",\"workflows\":[{{\"name\":\"wide\",\"tasks\":[{}]}},{{\"name\":\"few\",\"tasks\":[{},{}]}}]}}"#,
        tasks.join(","),
        r#"{\"id\":\"task_with_a_name_that_is_about_as_long_as_people_make_them\",\"index\":40,\"blocking\":true}"#,
        r#"{\"id\":\"after\",\"index\":41,\"blocking\":true,\"dependencies\":[\"task_with_a_name_that_is_about_as_long_as_people_make_them\"]}"#
    );
    format!(
        r#"
#include "fixture.h"
FIXTURE("{described}");
static int32_t start(const clcn_start *call) {{
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 3 || call->task == 40) {{
        result.status = CLCN_FAILED;
        result.error_code = CLCN_TEXT("out_of_paper");
        result.error_message = CLCN_TEXT("the printer in the room behind the library has no paper, no ink, no power and, as of "
            "this morning, also \x1b[2J no cable, so that nothing at all can be printed before somebody has been there");
    }}
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}}
"#
    )
}

/// What a program wrote on a terminal.
struct Shown {
    bytes: Vec<u8>,
    screen: vt100::Parser,
}

impl Shown {
    /// The lines of the screen, without what is empty at its end.
    fn lines(&self) -> Vec<String> {
        self.screen.screen().contents().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Whether anything has a color or is bold.
    fn is_colored(&self) -> bool {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let cells = (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
        cells.into_iter().any(|cell| cell.fgcolor() != vt100::Color::Default || cell.bold() || cell.dim())
    }

    /// Lines that the terminal broke, as they were too long.
    fn broken(&self) -> Vec<String> {
        let screen = self.screen.screen();
        let rows: Vec<String> = screen.rows(0, screen.size().1.get()).collect();
        let is_full = |text: &String| text.trim_end().chars().count() == usize::from(screen.size().1.get());
        (0..).zip(rows).filter(|(row, text)| screen.row_wrapped(*row) && is_full(text)).map(|(_, text)| text).collect()
    }
}

/// A program in a terminal.
struct Running {
    child: Child,
    terminal: File,
    bytes: Vec<u8>,
}

impl Running {
    /// Starts the program in a terminal of that size.
    fn start(folder: &Path, (rows, columns): Size, environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let user = || File::from(rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let mut command = Command::new(program());
        command.current_dir(folder).env_remove("NO_COLOR").env("TERM", ABLE).env("XDG_DATA_HOME", folder.join("data"));
        command.envs(environment.iter().copied()).args(arguments);
        command.stdin(Stdio::null()).stdout(user()).stderr(user());
        let child = command.spawn().unwrap();
        // With this the terminal hangs up once the program has it open no longer.
        drop(command);
        Self { child, terminal: File::from(controller), bytes: Vec::new() }
    }

    /// Starts the program as the session that the terminal controls, as a shell does.
    fn start_in_session(folder: &Path, (rows, columns): Size, arguments: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let user = || File::from(rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(program()).args(arguments).current_dir(folder);
        command.env_remove("NO_COLOR").env("TERM", ABLE).env("XDG_DATA_HOME", folder.join("data"));
        command.stdin(user()).stdout(user()).stderr(user());
        let child = command.spawn().unwrap();
        drop(command);
        Self { child, terminal: File::from(controller), bytes: Vec::new() }
    }

    /// Types on the terminal.
    fn press(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }

    /// Whether the terminal shows control characters that are typed.
    fn echoes_control(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ECHOCTL)
    }

    /// Reads what comes next; whether anything came.
    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.terminal.read(&mut part) {
            Ok(n_bytes @ 1..) => {
                self.bytes.extend_from_slice(&part[..n_bytes]);
                true
            }
            Ok(0) | Err(_) => false,
        }
    }

    /// Reads until that was written.
    fn read_until(&mut self, text: &str) {
        while !self.bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            assert!(self.read(), "{text} was not written: {}", String::from_utf8_lossy(&self.bytes));
        }
    }

    /// Reads to the end. The emulator has the terminal's columns and `lines` lines.
    fn end(mut self, lines: u16, columns: u16) -> Shown {
        while self.read() {}
        self.child.wait().unwrap();
        let cells = |n_cells| NonZero::new(n_cells).unwrap();
        let mut screen = vt100::Parser::new(cells(lines), cells(columns), 0);
        screen.process(&self.bytes);
        Shown { bytes: self.bytes, screen }
    }
}

/// Runs the program in a terminal of that size, until it ends. The emulator has `lines` lines.
fn run_in(folder: &Path, size: Size, lines: u16, environment: &[(&str, &str)], arguments: &[&str]) -> Shown {
    Running::start(folder, size, environment, arguments).end(lines, size.1)
}

fn show(folder: &Path, size: Size, arguments: &[&str]) -> Shown {
    run_in(folder, size, LINES, &[], arguments)
}

/// Where the cells of a line begin.
fn starts(line: &str) -> Vec<usize> {
    let cells: Vec<char> = line.chars().collect();
    let is_blank = |place: usize| cells.get(place).is_none_or(|cell| *cell == ' ');
    let begins = |place: &usize| {
        !is_blank(*place)
            && (*place < 2 && (0..*place).all(is_blank) || *place >= 2 && is_blank(place - 1) && is_blank(place - 2))
    };
    (0..cells.len()).filter(begins).collect()
}

/// Checks the table that begins with that heading and ends with an empty line, or with a line that is not indented like it.
fn check_table(shown: &Shown, heading: &str, n_rows_min: usize) {
    let lines = shown.lines();
    let text = lines.join("\n");
    let first = lines.iter().position(|line| line.trim_start().starts_with(heading));
    let first = first.unwrap_or_else(|| panic!("no table begins with {heading:?}:\n{text}"));
    let mut head = starts(&lines[first]);
    // A first column may have no heading, such as one of numbers.
    let begins = lines.get(first + 1).and_then(|line| starts(line).first().copied());
    head.splice(0..0, begins.filter(|begins| *begins < head[0]));
    let rows: Vec<&String> = lines[first + 1..].iter().take_while(|line| !line.is_empty()).collect();
    let rows: Vec<&&String> =
        rows.iter().take_while(|line| starts(line).first().is_some_and(|start| *start >= head[0])).collect();
    assert!(rows.len() >= n_rows_min, "{} rows:\n{text}", rows.len());
    // A last column may have no heading.
    let mut without_heading = BTreeSet::new();
    for row in rows {
        for start in starts(row) {
            if start > *head.last().unwrap() {
                without_heading.insert(start);
            } else {
                assert!(head.contains(&start), "a cell begins at {start}, and headings at {head:?}:\n{text}");
            }
        }
    }
    assert!(without_heading.len() <= 1, "{without_heading:?}:\n{text}");
    // What is said about a table on stderr is prose, which a terminal may break.
    let broken: Vec<String> = shown.broken().into_iter().filter(|line| lines[first..].contains(line)).collect();
    assert!(broken.is_empty(), "lines are too long: {broken:?}\n{text}");
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in [("mixed", MIXED.to_owned()), ("many", many())] {
        let built = tempfile::tempdir().unwrap();
        let archive = library::pack(&library::compile(built.path(), name, &source));
        fs::write(folder.path().join(name).with_extension("cloacina"), archive).unwrap();
    }
    folder
}

#[test]
fn every_table_is_aligned_in_color_and_fits_the_terminal() {
    let folder = prepared();
    let folder = folder.path();
    for (archive, workflow) in [("mixed.cloacina", "fine"), ("mixed.cloacina", "failing"), ("many.cloacina", "few")] {
        let shown = show(folder, SIZES[0], &["run", archive, "--workflow", workflow]);
        assert!(shown.is_colored(), "{}", shown.text());
    }
    // A run that waits, and one that no engine drives.
    show(folder, SIZES[0], &["runs", "create", "--name", "waits", "--tasks", "2", "--quiet"]);
    show(folder, SIZES[0], &["runs", "create", "--name", "stands", "--quiet"]);
    show(folder, SIZES[0], &["runs", "start", "latest", "--no-wait", "--quiet"]);
    show(folder, SIZES[0], &["key", "generate", "release", "--keys", "keys", "--no-password"]);
    for size in SIZES {
        for (arguments, heading, n_rows_min) in [
            ("runs list", "run", 5),
            ("runs list --state failed --limit 1", "run", 1),
            ("runs show latest", "task", 1),
            ("runs dead-letters", "run", 2),
            ("runs cancel --all --dry-run", "run", 2),
            ("runs delete --state failed --dry-run", "would be deleted", 2),
            ("runs why latest", "task", 1),
            ("workflow list", "workflow", 4),
            ("workflow show mixed::failing", "task", 2),
            ("package list", "package", 2),
            ("package usage mixed", "package", 1),
            ("package show mixed", "at", 1),
            ("package inspect mixed.cloacina", "task", 2),
        ] {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            check_table(&show(folder, size, &arguments), heading, n_rows_min);
        }
        let listed = show(folder, size, &["runs", "list", "--output", "json"]).text();
        // A note may follow, which a terminal shows on the same screen.
        let mut documents = serde_json::Deserializer::from_str(&listed).into_iter::<serde_json::Value>();
        let listed = documents.next().unwrap().unwrap();
        let failed = listed["runs"].as_array().unwrap().iter().find(|run| run["workflow"] == "public::many::few");
        let run = failed.unwrap()["run"].as_str().unwrap().to_owned();
        for (verb, heading, n_rows_min) in [("show", "task", 4), ("events", "at", 5), ("usage", "task", 2)] {
            check_table(&show(folder, size, &["runs", verb, &run]), heading, n_rows_min);
        }
    }
}

#[test]
fn tables_of_retention_and_of_measurements_fit_the_terminal() {
    let folder = prepared();
    let folder = folder.path();
    show(folder, SIZES[0], &["run", "mixed.cloacina", "--workflow", "fine", "--quiet"]);
    let noop = archive::path("noop", "tests/fixtures/noop", &[]);
    let writers = archive::path("writers", "tests/fixtures/writers", &[]);
    for size in SIZES {
        let due = [("CLOACINA__RETENTION__FINISHED", "0s")];
        check_table(&run_in(folder, size, LINES, &due, &["prune", "--dry-run"]), "what", 1);
        let mut bench = vec!["bench", "--tiny", "--quick", "--no-postgres", "--only", "sqlite raw", "--package"];
        bench.extend([noop.to_str().unwrap(), "--writers", writers.to_str().unwrap()]);
        let shown = show(folder, size, &bench);
        check_table(&shown, "ratio", 10);
        check_table(&shown, "database", 1);
    }
}

#[test]
fn the_list_of_runs_has_a_line_for_each_with_an_id_that_is_understood() {
    let folder = prepared();
    let folder = folder.path();
    for _ in 0..3 {
        show(folder, SIZES[0], &["run", "mixed.cloacina", "--workflow", "fine", "--quiet"]);
    }
    let shown = show(folder, SIZES[0], &["runs", "list"]);
    let lines = shown.lines();
    assert_eq!(lines.len(), 4, "{}", shown.text());
    let ids: BTreeSet<&str> = lines[1..].iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(ids.len(), 3, "{}", shown.text());
    for id in ids {
        for verb in ["show", "why", "events", "context", "logs", "usage", "wait", "watch"] {
            let shown = show(folder, SIZES[0], &["runs", verb, id]);
            assert!(!shown.text().contains("error["), "{verb} {id}\n{}", shown.text());
        }
    }
}

#[test]
fn a_run_is_displayed_in_lines_that_no_terminal_breaks() {
    let folder = prepared();
    let folder = folder.path();
    for size in SIZES {
        for workflow in ["few", "wide"] {
            let arguments = ["run", "many.cloacina", "--workflow", workflow, "--ephemeral"];
            // As the terminal has it at the end, and as it would be on a screen without an end.
            for lines in [size.0, LINES] {
                let shown = run_in(folder, size, lines, &[], &arguments);
                let broken: Vec<String> = shown
                    .broken()
                    .into_iter()
                    .filter(|line| line.starts_with("  task") || line.starts_with("  ⠁"))
                    .collect();
                assert!(shown.is_colored() && broken.is_empty(), "{broken:?}\n{}", shown.text());
                assert!(!shown.text().contains('\u{fffd}'));
            }
            let shown = run_in(folder, size, LINES, &[], &arguments);
            check_table(&shown, "task  ", 2);
            // The last cell of a row is broken between words, and nothing stands beside its further lines.
            let words = shown.text().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains("somebody has been there"), "{}", shown.text());
        }
    }
}

#[test]
fn an_interrupt_says_what_is_stopping_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = library::pack(&library::compile(folder.path(), "patient", PATIENT));
    fs::write(folder.path().join("patient.cloacina"), archive).unwrap();
    for size in SIZES {
        let mut running = Running::start(folder.path(), size, &[], &["run", "patient.cloacina"]);
        running.read_until("wait: waiting");
        crate::cmd::interrupt(&running.child);
        running.read_until("stopping: wait may finish");
        crate::cmd::interrupt(&running.child);
        let shown = running.end(LINES, size.1);
        for (text, n_times) in [
            (" of public::patient::waiting", 1),
            ("wait: waiting", 1),
            ("stopping: wait may finish for 10 s", 1),
            ("error[CTL0012]", 1),
        ] {
            assert_eq!(shown.text().matches(text).count(), n_times, "{text}:\n{}", shown.text());
        }
        fs::write(folder.path().join("go"), "").unwrap();
        let resumed = show(folder.path(), size, &["run", "--resume", "latest"]);
        assert!(resumed.text().contains("completed public::patient::waiting"), "{}", resumed.text());
        fs::remove_file(folder.path().join("go")).unwrap();
    }
}

#[test]
fn a_key_that_interrupts_leaves_no_line_behind_and_the_terminal_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let archive = library::pack(&library::compile(folder.path(), "patient", PATIENT));
    fs::write(folder.path().join("patient.cloacina"), archive).unwrap();
    for size in SIZES {
        let mut running = Running::start_in_session(folder.path(), size, &["run", "patient.cloacina"]);
        running.read_until("wait: waiting");
        running.press(b"\x03");
        running.read_until("stopping: wait may finish");
        assert!(!running.echoes_control());
        running.press(b"\x03");
        running.read_until("error[CTL0012]");
        running.child.wait().unwrap();
        assert!(running.echoes_control(), "the terminal is as it was");
        let shown = running.end(LINES, size.1);
        for (text, n_times) in [
            (" of public::patient::waiting", 1),
            ("wait: waiting", 1),
            ("stopping: wait may finish for 10 s", 1),
            ("^C", 0),
        ] {
            assert_eq!(shown.text().matches(text).count(), n_times, "{text}:\n{}", shown.text());
        }
    }
}

#[test]
fn a_terminal_that_can_only_print_lines_gets_lines() {
    let folder = prepared();
    let folder = folder.path();
    for (environment, arguments) in [
        (("TERM", "dumb"), ["run", "many.cloacina", "--workflow", "few"]),
        (("TERM", ""), ["run", "many.cloacina", "--workflow", "few"]),
    ] {
        let shown = run_in(folder, SIZES[0], LINES, &[environment], &arguments);
        assert!(!shown.bytes.contains(&0x1b), "{}", String::from_utf8_lossy(&shown.bytes).escape_debug());
        for text in [" started task_with_a_name", " failed task_with_a_name", " skipped after because of "] {
            assert!(shown.text().contains(text), "{text}:\n{}", shown.text());
        }
        let shown = run_in(folder, SIZES[0], LINES, &[environment], &["runs", "list"]);
        assert!(!shown.bytes.contains(&0x1b));
        check_table(&shown, "run", 1);
    }
}

#[test]
fn without_colors_nothing_has_a_color() {
    let folder = prepared();
    let folder = folder.path();
    let run = ["run", "many.cloacina", "--workflow", "few"];
    assert!(!run_in(folder, SIZES[0], LINES, &[("NO_COLOR", "1")], &run).is_colored());
    assert!(!run_in(folder, SIZES[0], LINES, &[], &["runs", "list", "--color", "never"]).is_colored());
    assert!(run_in(folder, SIZES[0], LINES, &[("NO_COLOR", "1")], &["runs", "list", "--color", "always"]).is_colored());
    let shown = run_in(folder, SIZES[0], LINES, &[("NO_COLOR", "1")], &["runs", "list"]);
    assert!(!shown.bytes.contains(&0x1b));
}

#[test]
fn help_is_broken_between_words() {
    let folder = tempfile::tempdir().unwrap();
    for size in SIZES {
        for arguments in
            ["--help", "run --help", "runs execute --help", "runs usage --help", "package build --help", "demo -h"]
        {
            let arguments: Vec<&str> = arguments.split(' ').collect();
            let shown = show(folder.path(), size, &arguments);
            assert!(shown.broken().is_empty(), "{arguments:?}: {:?}", shown.broken());
        }
    }
}
