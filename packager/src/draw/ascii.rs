//! The graph as text, one line for each task, in ASCII alone.
//!
//! ```text
//! shape: 4 tasks on 3 levels
//!
//! 0  *      top
//!    +-.
//! 1  * |    left    <- top
//!    | |
//! 1  | *    right   <- top
//!    +-'
//! 2  *      bottom  <- left, right
//! ```
//! Tasks stand in the order of their levels. To the left of the names run lanes: each leads to one task that is still
//! to come, and every task that it depends on joins the lane. `*` is a task, `+` joins two lines, `.` opens a lane and
//! `'` closes one; where a line crosses a lane the lane is drawn, and nothing joins. What a line says is written
//! behind the name as well.

use std::collections::BTreeSet;

use super::few::few;
use crate::graph::Graph;

/// The widest drawing of lines. Every row has room for all lanes, so beyond that the text would grow with the square of
/// the graph, and no terminal could show it.
const LANES_WIDTH_MAX: usize = 400;

/// Draws the graph as text. A graph with too many lines side by side is written without them.
pub fn ascii(graph: &Graph) -> String {
    let mut order: Vec<usize> = graph.order().to_vec();
    order.sort_by_key(|&task| graph.level(task));
    let rows = drawn(graph, &order).unwrap_or_else(|| order.iter().map(|task| ("*".to_owned(), Some(*task))).collect());
    render(graph, rows)
}

/// The rows with their lanes; none where they would be too wide.
fn drawn(graph: &Graph, order: &[usize]) -> Option<Vec<(String, Option<usize>)>> {
    let mut lanes = Lanes::default();
    let mut rows: Vec<(String, Option<usize>)> = Vec::new();
    for &task in order {
        if graph.children(task).len() > LANES_WIDTH_MAX {
            return None;
        }
        let column = lanes.take(task);
        rows.push((lanes.task_row(column), Some(task)));
        rows.extend(lanes.open(graph, task, column).into_iter().map(|row| (row, None)));
        if rows.last().is_some_and(|(row, _)| row.len() > LANES_WIDTH_MAX) {
            return None;
        }
    }
    Some(rows)
}

/// Puts levels before the lanes, and names and dependencies behind them.
fn render(graph: &Graph, rows: Vec<(String, Option<usize>)>) -> String {
    let n_levels = graph.levels().len();
    let level_width = n_levels.saturating_sub(1).to_string().len();
    let lanes_width = rows.iter().map(|(row, _)| row.len()).max().unwrap_or(0);
    let name_width = (0..graph.n_tasks()).map(|task| graph.id(task).chars().count()).max().unwrap_or(0);
    let mut text = format!("{}: {} on {}\n\n", graph.name(), count(graph.n_tasks(), "task"), count(n_levels, "level"));
    for (row, task) in rows {
        let line = match task {
            None => format!("{:level_width$}  {row}", ""),
            Some(task) => {
                let parents: Vec<_> = graph.parents(task).into_iter().map(|parent| graph.id(parent)).collect();
                let parents = if parents.is_empty() { String::new() } else { format!("  <- {}", few(&parents, "")) };
                let (level, id) = (graph.level(task), graph.id(task));
                format!("{level:level_width$}  {row:lanes_width$}  {id:name_width$}{parents}")
            }
        };
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The lanes from left to right; each leads to one task that is still to come.
#[derive(Default)]
struct Lanes(Vec<Option<usize>>);

impl Lanes {
    /// The column of a task: that of the lane that leads to it, which ends here, or a free one.
    fn take(&mut self, task: usize) -> usize {
        let column = self.0.iter().position(|lane| *lane == Some(task)).unwrap_or_else(|| self.free());
        self.0[column] = None;
        column
    }

    /// The first free column.
    fn free(&mut self) -> usize {
        self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        })
    }

    /// The row of a task: its mark, and the lanes that pass.
    fn task_row(&self, column: usize) -> String {
        let marks = self.0.iter().enumerate().map(|(place, lane)| match lane {
            _ if place == column => '*',
            Some(_) => '|',
            None => ' ',
        });
        spaced(marks)
    }

    /// Connects a task with the lanes of its dependents, opening those that are not there yet; returns the rows.
    fn open(&mut self, graph: &Graph, task: usize, column: usize) -> Vec<String> {
        let mut joined = BTreeSet::new();
        let mut opened = BTreeSet::new();
        let children = graph.children(task);
        // The task's own lane continues to its first dependent that has no lane yet.
        let mut own = None;
        for &child in &children {
            if let Some(lane) = self.0.iter().position(|lane| *lane == Some(child)) {
                joined.insert(lane);
            } else if own.is_none() {
                own = Some(child);
                self.0[column] = own;
            } else {
                let free = self.free();
                self.0[free] = Some(child);
                opened.insert(free);
            }
        }
        let reached: BTreeSet<usize> = joined.iter().chain(&opened).copied().chain([column]).collect();
        let (first, last) = match (reached.first(), reached.last()) {
            (Some(first), Some(last)) if first != last => (*first, *last),
            _ if own.is_some() || self.0.iter().any(Option::is_some) => return vec![self.passing()],
            _ => return Vec::new(),
        };
        let mut row = String::new();
        for place in 0..self.0.len() {
            let lane = self.0[place].is_some();
            let mark = if place == column && own.is_none() {
                '\''
            } else if place == column || joined.contains(&place) {
                '+'
            } else if opened.contains(&place) {
                '.'
            } else if lane {
                '|'
            } else if (first..last).contains(&place) {
                '-'
            } else {
                ' '
            };
            row.push(mark);
            row.push(if (first..last).contains(&place) { '-' } else { ' ' });
        }
        vec![row.trim_end().to_owned()]
    }

    /// A row in which every lane continues.
    fn passing(&self) -> String {
        spaced(self.0.iter().map(|lane| if lane.is_some() { '|' } else { ' ' }))
    }
}

fn spaced(marks: impl Iterator<Item = char>) -> String {
    let row: String = marks.flat_map(|mark| [mark, ' ']).collect();
    row.trim_end().to_owned()
}
