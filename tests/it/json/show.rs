//! One document against its schema and its page.

use std::fs;

use cloacina_tests::root;
use serde_json::Value;

use super::example::Names;
use super::ordered::Node;
use super::schema;

const REWRITE: &str = "UPDATE_EXPECT";
const EXAMPLE: &str = "## Example\n";

/// Checks what a command printed, which is one document.
pub(crate) fn check(page: &str, command: &str, printed: &str) -> Value {
    check_with(page, command, printed, &mut Names::default())
}

/// The same, where ids stand for the same as in other documents.
#[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
pub(super) fn check_with(page: &str, command: &str, printed: &str, names: &mut Names) -> Value {
    let document = conforming(page, printed);
    let path = root().join("docs/reference/json").join(page).with_extension("md");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let example = names.example(&Node::parse(printed)).pretty();
    let example =
        format!("{EXAMPLE}\nOf `cloacina-ctl {command}`; long lists and texts are cut.\n\n```json\n{example}```\n");
    let head = text.find(EXAMPLE).map_or(text.as_str(), |at| &text[..at]);
    if std::env::var_os(REWRITE).is_some() {
        fs::write(&path, format!("{head}{example}")).unwrap();
    } else {
        let found = &text[head.len()..];
        assert!(
            found == example,
            "{}: {REWRITE}=1 writes the example anew\n{found}\nis not\n{example}",
            path.display()
        );
    }
    document
}

/// A document that its schema allows, without a check of the example.
pub(crate) fn conforming(page: &str, printed: &str) -> Value {
    let document: Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{page}: {error}: {printed}"));
    let schema = root().join("docs/reference/json/schema").join(page).with_extension("json");
    let schema = fs::read_to_string(&schema).unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
    let faults = schema::faults(&document, &serde_json::from_str(&schema).unwrap());
    assert!(faults.is_empty(), "{page}: {faults:#?}\n{printed}");
    document
}
