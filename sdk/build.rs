//! Tells the crate which compiler and target it is built with, for the descriptor of every package.

use std::{env, process::Command};

#[expect(clippy::disallowed_methods, reason = "a build script is told everything through the environment")]
fn main() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "unknown rustc".to_owned());
    // The texts are spliced into JSON without escaping.
    let version = version.trim().replace(['"', '\\'], "'");
    let target = env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=CLOACINA_RUSTC={version}");
    println!("cargo::rustc-env=CLOACINA_TARGET={target}");
    println!("cargo::rerun-if-changed=build.rs");
}
