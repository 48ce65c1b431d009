//! The rules of all documents, checked in the sources: a field without a value is absent, and a list is always there.

use std::fs;
use std::path::Path;

use super::all::pages;

#[test]
fn no_field_is_ever_null_and_no_list_is_ever_absent() {
    let mut faults = Vec::new();
    let mut n_documents = 0;
    for folder in ["src", "../engine/src/view"] {
        each_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path, text| {
            faults.extend(found(text).into_iter().map(|fault| format!("{}: {fault}", path.display())));
            n_documents += text.lines().filter(|line| line.starts_with("impl Document for ")).count();
        });
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // One of them is a value of a context, which is the user's own.
    assert_eq!(n_documents, pages().len() + 1, "every document has a page");
}

/// What breaks the rules in the types of documents.
fn found(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut is_document, mut attributes) = (false, String::new());
    for line in text.lines() {
        match line.trim() {
            derived if derived.starts_with("#[derive(") => is_document = derived.contains("ToSchema"),
            derived if derived.starts_with("#[cfg_attr(") && derived.contains("ToSchema") => is_document = true,
            "}" => is_document = false,
            attribute if attribute.starts_with("#[") => attributes.push_str(attribute),
            comment if comment.starts_with("//") => {}
            field => {
                let is_skipped = ["serde(skip)", "serde(flatten)"].iter().any(|skip| attributes.contains(skip));
                let is_left_out = ["Option::is_none", "Value::is_null"]
                    .iter()
                    .any(|empty| attributes.contains(&format!("skip_serializing_if = \"{empty}\"")));
                if is_document && !is_skipped && field.contains(": Option<") && !is_left_out {
                    faults.push(format!("`{field}` would be null"));
                }
                if is_document && !is_skipped && attributes.contains("skip_serializing_if") && !is_left_out {
                    faults.push(format!("`{field}` would be absent, and has an empty value"));
                }
                attributes.clear();
            }
        }
    }
    faults
}

fn each_source(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_source(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn a_field_that_breaks_a_rule_is_found() {
    const TYPE: &str = "#[derive(Debug, Serialize, ToSchema)]\nstruct Shown {\n";
    for (field, n_faults) in [
        ("    name: String,\n", 0),
        ("    pid: Option<u32>,\n", 1),
        ("    #[serde(skip_serializing_if = \"Option::is_none\")]\n    pid: Option<u32>,\n", 0),
        ("    #[serde(skip)]\n    pid: Option<u32>,\n", 0),
        ("    #[serde(skip_serializing_if = \"Vec::is_empty\")]\n    needs: Vec<String>,\n", 1),
    ] {
        assert_eq!(found(&format!("{TYPE}{field}}}\n")).len(), n_faults, "{field}");
    }
}
