//! SVG: boxes on rows by level, edges as curves, complete in itself.
//!
//! No script, no link, no font or style from elsewhere; colors fit light and dark pages.

use std::fmt::Write;

use super::layout::{Item, Layout};
use crate::graph::Graph;

/// The width of a letter, as good as it can be known without the font.
const LETTER: usize = 8;
const BOX_HEIGHT: usize = 32;
const ROW_HEIGHT: usize = 80;
const BOX_PADDING: usize = 14;
const GAP: usize = 16;
const MARGIN: usize = 20;
const TITLE_HEIGHT: usize = 30;

/// Draws the graph in SVG.
pub fn svg(graph: &Graph) -> String {
    let layout = Layout::new(graph);
    let longest = (0..graph.n_tasks()).map(|task| graph.id(task).chars().count()).max().unwrap_or(0);
    let box_width = longest * LETTER + 2 * BOX_PADDING;
    let places = layout.places();
    // Two places side by side are two steps apart.
    let step = (box_width + GAP) / 2;
    let columns = places.iter().max().map_or(1, |place| place + 2);
    let title_width = graph.name().chars().count() * (LETTER + 2);
    let width = (columns * step).max(title_width) + 2 * MARGIN;
    let height = layout.rows.len() * ROW_HEIGHT + TITLE_HEIGHT + MARGIN;
    let x = |item: usize| MARGIN + places[item] * step + step;
    let y = |item: usize| TITLE_HEIGHT + MARGIN + layout.items[item].1 * ROW_HEIGHT;

    let mut lines = vec![
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"monospace\" font-size=\"13\">"
        ),
        format!("<title>{}</title>", escaped(graph.name())),
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#7a869a\"/></marker></defs>"
            .to_owned(),
        format!("<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"),
        format!(
            "<text x=\"{MARGIN}\" y=\"{TITLE_HEIGHT}\" font-size=\"16\" fill=\"#172b4d\">{}</text>",
            escaped(graph.name())
        ),
    ];
    for edge in &layout.edges {
        let points: Vec<_> = edge.iter().map(|&item| (x(item), y(item), layout.items[item].0)).collect();
        lines.push(format!(
            "<path d=\"{}\" fill=\"none\" stroke=\"#7a869a\" stroke-width=\"1.5\" marker-end=\"url(#arrow)\"/>",
            curve(&points)
        ));
    }
    for (item, (kind, _)) in layout.items.iter().enumerate() {
        if let Item::Task(task) = kind {
            let (left, top) = (x(item) - box_width / 2, y(item));
            lines.push(format!(
                "<g><rect x=\"{left}\" y=\"{top}\" width=\"{box_width}\" height=\"{BOX_HEIGHT}\" rx=\"6\" \
                 fill=\"#deebff\" stroke=\"#0747a6\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\" \
                 fill=\"#172b4d\">{}</text></g>",
                x(item),
                top + BOX_HEIGHT / 2 + 5,
                escaped(graph.id(*task))
            ));
        }
    }
    lines.push("</svg>\n".to_owned());
    lines.join("\n")
}

/// From the lower edge of the first box through the bends to the upper edge of the last.
fn curve(points: &[(usize, usize, Item)]) -> String {
    let mut path = String::new();
    let mut at = (0, 0);
    for (number, &(x, y, kind)) in points.iter().enumerate() {
        let entry = (x, y);
        let exit = (x, y + BOX_HEIGHT);
        if number == 0 {
            write!(path, "M{} {}", exit.0, exit.1).expect("invariant: writing into a string cannot fail");
        } else {
            let middle = usize::midpoint(at.1, entry.1);
            write!(path, "C{} {middle} {} {middle} {} {}", at.0, entry.0, entry.0, entry.1)
                .expect("invariant: writing into a string cannot fail");
            if kind == Item::Bend {
                write!(path, "L{} {}", exit.0, exit.1).expect("invariant: writing into a string cannot fail");
            }
        }
        at = exit;
    }
    path
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no way to write other control characters.
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}
