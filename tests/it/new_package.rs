//! The crate that `package new` makes, as cargo understands it: where the sdk comes from.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::cmd::program;

/// Makes a crate with those arguments; the dependency on the sdk as cargo reads it.
fn dependency(folder: &Path, arguments: &[&str]) -> Value {
    let mut new = Command::new(program());
    new.args(["package", "new", "made", "--output", "json"]).args(arguments).current_dir(folder);
    let output = new.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(folder.join("made"));
    // What names a registry need not be there: cargo wants to know its address alone.
    metadata.env("CARGO_REGISTRIES_OURS_INDEX", "sparse+https://registry.example.org/index/");
    let output = metadata.output().expect("there is cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).expect("cargo answers with JSON");
    let dependencies = read["packages"][0]["dependencies"].as_array().expect("a list").clone();
    let sdk = dependencies.into_iter().find(|found| found["name"] == "cloacina-workflow");
    let sdk = sdk.expect("the crate depends on the sdk");
    // The address of cargo's default registry is cargo's own business.
    let source = match sdk["source"].as_str() {
        Some(source) if sdk["registry"].is_null() && source.starts_with("registry+") => json!("the default registry"),
        Some(_) | None => sdk["source"].clone(),
    };
    json!([sdk["req"], source, sdk["path"], sdk["registry"]])
}

#[test]
fn the_sdk_comes_from_where_the_arguments_say() {
    let git = "https://git.example.org/o'neill/cloacina";
    let ours = "sparse+https://registry.example.org/index/";
    let cases = [
        (vec!["--sdk-git", git], json!(["*", format!("git+{git}"), null, null])),
        (vec!["--sdk-git", git, "--sdk-rev", "5f1c"], json!(["*", format!("git+{git}?rev=5f1c"), null, null])),
        (vec!["--sdk-git", git, "--sdk-tag", "v0.1.0"], json!(["*", format!("git+{git}?tag=v0.1.0"), null, null])),
        (vec!["--sdk-version", "0.1"], json!(["^0.1", "the default registry", null, null])),
        (vec!["--sdk-version", "=0.1.0", "--sdk-registry", "ours"], json!(["=0.1.0", ours, null, ours])),
    ];
    for (arguments, expected) in cases {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        assert_eq!(dependency(folder.path(), &arguments), expected, "{arguments:?}");
    }
}

#[test]
fn a_folder_of_the_sdk_is_named_as_it_was_given() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let sdk = folder.path().join("our sdk");
    std::fs::create_dir(&sdk).expect("the folder is empty");
    std::fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"cloacina-workflow\"\n").expect("there is room");
    let found = json!(["*", null, sdk.to_str(), null]);
    assert_eq!(dependency(folder.path(), &["--sdk", "our sdk"]), found);
    let manifest = std::fs::read_to_string(folder.path().join("made/Cargo.toml")).expect("it was made");
    assert!(manifest.contains("cloacina-workflow = { path = \"../our sdk\" }"), "{manifest}");
}
