//! Where tasks and edges stand in a layered drawing.
//!
//! Each task is on the row of its level. An edge over several levels passes one invisible point on each row between,
//! so that it bends around the boxes there. Within a row everything is ordered by the mean place of its neighbors,
//! a few times down and up; ties keep the order of the source, so the same graph always looks the same.

use crate::graph::Graph;

/// How often the rows are ordered anew; more changes little.
const SWEEPS: usize = 8;

/// Something that has a place on a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Task(usize),
    /// A point that an edge passes.
    Bend,
}

/// A layered drawing: items on rows, edges as chains of items.
#[derive(Debug)]
pub(super) struct Layout {
    /// The items with their rows.
    pub(super) items: Vec<(Item, usize)>,
    /// The items of each row, from left to right.
    pub(super) rows: Vec<Vec<usize>>,
    /// The items that each edge passes, from task to task.
    pub(super) edges: Vec<Vec<usize>>,
}

impl Layout {
    pub(super) fn new(graph: &Graph) -> Layout {
        let mut items: Vec<(Item, usize)> =
            (0..graph.n_tasks()).map(|task| (Item::Task(task), graph.level(task))).collect();
        let mut rows = graph.levels();
        let mut edges = Vec::new();
        for task in 0..graph.n_tasks() {
            for child in graph.children(task) {
                let mut edge = vec![task];
                for (row, on_row) in rows.iter_mut().enumerate().take(graph.level(child)).skip(graph.level(task) + 1) {
                    items.push((Item::Bend, row));
                    on_row.push(items.len() - 1);
                    edge.push(items.len() - 1);
                }
                edge.push(child);
                edges.push(edge);
            }
        }
        let mut layout = Layout { items, rows, edges };
        layout.order_rows();
        layout
    }

    fn order_rows(&mut self) {
        let n_items = self.items.len();
        let (mut above, mut below) = (vec![Vec::new(); n_items], vec![Vec::new(); n_items]);
        for pair in self.edges.iter().flat_map(|edge| edge.windows(2)) {
            below[pair[0]].push(pair[1]);
            above[pair[1]].push(pair[0]);
        }
        let mut best = (self.crossings(&below), self.rows.clone());
        for sweep in 0..SWEEPS {
            let n_rows = self.rows.len();
            for step in 1..n_rows {
                let (row, neighbors) = if sweep % 2 == 0 { (step, &above) } else { (n_rows - 1 - step, &below) };
                let places = self.places();
                let mean = |item: &usize| {
                    let near = &neighbors[*item];
                    match near.len() {
                        0 => places[*item] as f64,
                        n => near.iter().map(|other| places[*other] as f64).sum::<f64>() / n as f64,
                    }
                };
                self.rows[row].sort_by(|one, other| mean(one).total_cmp(&mean(other)));
            }
            let crossings = self.crossings(&below);
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    /// The place of each item on its row, counted in such a way that rows of different length share a middle.
    pub(super) fn places(&self) -> Vec<usize> {
        let longest = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut places = vec![0; self.items.len()];
        for row in &self.rows {
            for (place, item) in row.iter().enumerate() {
                places[*item] = 2 * place + longest - row.len();
            }
        }
        places
    }

    fn crossings(&self, below: &[Vec<usize>]) -> usize {
        let places = self.places();
        let mut crossings = 0;
        for row in &self.rows {
            let lines: Vec<_> =
                row.iter().flat_map(|item| below[*item].iter().map(|other| (places[*item], places[*other]))).collect();
            for (number, one) in lines.iter().enumerate() {
                crossings += lines[number + 1..].iter().filter(|other| one.0 < other.0 && one.1 > other.1).count();
            }
        }
        crossings
    }
}
