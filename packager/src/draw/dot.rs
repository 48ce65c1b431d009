//! DOT, the language of Graphviz.

use std::fmt::Write;

use crate::graph::Graph;

/// Draws the graph in DOT.
pub fn dot(graph: &Graph) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=TB;\n  node [shape=box, style=rounded];\n", quoted(graph.name()));
    for &task in graph.order() {
        line(&mut text, &format!("{};", quoted(graph.id(task))));
    }
    for &task in graph.order() {
        for child in graph.children(task) {
            line(&mut text, &format!("{} -> {};", quoted(graph.id(task)), quoted(graph.id(child))));
        }
    }
    text.push_str("}\n");
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "  {content}").expect("invariant: writing into a string cannot fail");
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
