//! The Rust blocks of the reference page, each compiled and run as a program.

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../../docs/reference/macros.md");

/// The blocks that begin with exactly this fence are programs; a main function is added where there is none.
const FENCE: &str = "```rust\n";

#[test]
fn every_rust_block_of_the_page_runs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference");
    fs::create_dir_all(&folder).unwrap();
    let cases = trybuild::TestCases::new();
    let blocks = PAGE.split(FENCE).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let mut n_blocks = 0;
    for block in blocks {
        n_blocks += 1;
        let main = if block.contains("fn main()") { "" } else { "\nfn main() {}\n" };
        let file = folder.join(format!("block_{n_blocks}.rs"));
        fs::write(&file, format!("{block}{main}")).unwrap();
        cases.pass(&file);
    }
    assert!(n_blocks > 3, "the page has programs");
}
