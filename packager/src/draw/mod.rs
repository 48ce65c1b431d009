//! Drawings of a workflow's graph: text for a terminal, DOT for Graphviz, SVG for a browser.
//!
//! Pure functions from a graph to text, the same for the same graph. Names are escaped for where they stand, even
//! though the check of names lets nothing through that would need it.

mod ascii;
mod dot;
mod few;
mod layout;
mod svg;

pub use self::{ascii::ascii, dot::dot, few::few, svg::svg};
