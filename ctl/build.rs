//! Puts the pages of the error codes into the program, so that it explains its errors wherever it runs.

use std::{env, error::Error, fmt::Write as _, fs, path::PathBuf};

#[expect(clippy::disallowed_methods, reason = "a build script is told everything through the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../docs/errors");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if let (Some("md"), Some(code)) = (path.extension().and_then(|end| end.to_str()), path.file_stem()) {
            pages.push((code.to_string_lossy().into_owned(), path));
        }
    }
    pages.sort();
    let mut list = String::from("&[\n");
    for (code, path) in pages {
        writeln!(list, "    ({code:?}, include_str!({:?})),", path.canonicalize()?)?;
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("pages.rs"), list)?;
    Ok(())
}
