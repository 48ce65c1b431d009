//! The documents against their pages in `docs/reference/json`, and against the rules that hold for all of them.

mod all;
mod page;
mod rule;
mod schema;
