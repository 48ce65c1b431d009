//! The pages of the documents: written from their types by `UPDATE_EXPECT=1`, else compared.
//!
//! An example is written by the test that runs the command (`tests/it/json`), and is kept here as it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use serde_json::{Map, Value};

use super::all::{OTHERS, pages};
use super::schema;
use crate::cli::Cli;
use crate::document::Document;

const REWRITE: &str = "UPDATE_EXPECT";
const EXAMPLE: &str = "## Example\n";

/// A document as its page shows it.
pub(super) struct Page {
    /// The name of the file.
    name: &'static str,
    title: &'static str,
    commands: &'static [&'static str],
    pub(super) schema: Value,
}

impl Page {
    pub(super) fn of<D: Document>(name: &'static str, title: &'static str, commands: &'static [&'static str]) -> Self {
        Self { name, title, commands, schema: schema::of::<D>() }
    }

    fn text(&self, example: &str) -> String {
        let Self { name, title, commands, schema } = self;
        let mut text = format!("# {title}\n\n");
        let about = schema["description"].as_str();
        let about = about.or_else(|| schema["items"]["description"].as_str().map(|_| "A list."));
        writeln!(text, "{}\n", about.unwrap_or_default()).unwrap();
        match commands {
            [] => text.push_str("Every command prints it on stderr, in one line.\n"),
            [only] => writeln!(text, "Printed by `cloacina-ctl {only}`.").unwrap(),
            several => {
                let names: Vec<String> = several.iter().map(|command| format!("`{command}`")).collect();
                writeln!(text, "Printed by these commands of `cloacina-ctl`: {}.", names.join(", ")).unwrap();
            }
        }
        writeln!(text, "[The rules of all documents](README.md); [its schema](schema/{name}.json).\n").unwrap();
        match schema.get("items") {
            Some(items) => {
                writeln!(text, "## Each item\n\n{}\n", items["description"].as_str().unwrap_or_default()).unwrap();
                fields(items, &mut text);
            }
            None => {
                text.push_str("## Fields\n\n");
                fields(schema, &mut text);
            }
        }
        for (name, part) in schema["$defs"].as_object().into_iter().flatten() {
            writeln!(text, "\n## {name}\n\n{}", part["description"].as_str().unwrap_or_default()).unwrap();
            if part.get("properties").is_some() {
                text.push('\n');
                fields(part, &mut text);
            } else {
                writeln!(text, "\nIts values: {}.", names(part)).unwrap();
            }
        }
        text.push('\n');
        text.push_str(example);
        text
    }
}

/// A table of fields.
fn fields(schema: &Value, text: &mut String) {
    text.push_str("| field | type | meaning |\n|---|---|---|\n");
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.contains(name.as_str()) { "" } else { ", optional" };
        let meaning = field["description"].as_str().unwrap_or_else(|| panic!("`{name}` has no meaning: {schema}"));
        let meaning = meaning.replace('\n', " ");
        let values = if field.get("enum").is_some() { format!(" One of {}.", names(field)) } else { String::new() };
        writeln!(text, "| `{name}` | {}{optional} | {meaning}{values} |", kind(field)).unwrap();
    }
}

fn names(schema: &Value) -> String {
    let names = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The type of a field in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => "timestamp".to_owned(),
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") => match &schema["additionalProperties"] {
            Value::Object(values) if !values.is_empty() => format!("map to {}", kind(&schema["additionalProperties"])),
            _ => "map".to_owned(),
        },
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/json")
}

/// The index, from its beginning to the list of pages, is written by hand.
fn index(pages: &[Page], written: &str) -> String {
    let (head, _) = written.split_once("## Documents\n").unwrap_or((written, ""));
    let mut text = format!("{head}## Documents\n\n| document | printed by |\n|---|---|\n");
    for Page { name, title, commands, .. } in pages {
        let commands: Vec<String> = commands.iter().map(|command| format!("`{command}`")).collect();
        let commands = if commands.is_empty() { "every command, on stderr".to_owned() } else { commands.join(", ") };
        writeln!(text, "| [{title}]({name}.md) | {commands} |").unwrap();
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
fn the_pages_say_what_the_types_say() {
    let (pages, folder) = (pages(), folder());
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut expected = vec![(folder.join("README.md"), index(&pages, &read(&folder.join("README.md"))))];
    for page in &pages {
        let path = folder.join(page.name).with_extension("md");
        let written = read(&path);
        let example = written.find(EXAMPLE).map_or("", |at| &written[at..]);
        expected.push((path, page.text(example)));
        let schema = serde_json::to_string_pretty(&page.schema).unwrap() + "\n";
        expected.push((folder.join("schema").join(page.name).with_extension("json"), schema));
    }
    if std::env::var_os(REWRITE).is_some() {
        fs::create_dir_all(folder.join("schema")).unwrap();
        expected.iter().for_each(|(path, text)| fs::write(path, text).unwrap());
    }
    let stale: Vec<_> = expected.iter().filter(|(path, text)| read(path) != *text).map(|(path, _)| path).collect();
    assert!(stale.is_empty(), "not what the types say; {REWRITE}=1 writes them anew: {stale:#?}");
    let known: BTreeSet<&Path> = expected.iter().map(|(path, _)| path.as_path()).collect();
    for entry in [folder.clone(), folder.join("schema")].iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        assert!(path.is_dir() || known.contains(path.as_path()), "{} is the page of no document", path.display());
    }
}

#[test]
fn every_page_has_an_example() {
    let without: Vec<&str> = pages()
        .iter()
        .map(|page| page.name)
        .filter(|name| {
            let text = fs::read_to_string(folder().join(name).with_extension("md")).unwrap_or_default();
            !text.contains(EXAMPLE)
        })
        .collect();
    assert!(without.is_empty(), "`tests/it/json` has no example for {without:?}");
}

#[test]
fn every_command_has_a_document_and_every_document_a_command() {
    let mut commands = Vec::new();
    leaves(&Cli::command(), "", &mut commands);
    let pages = pages();
    let printing: BTreeSet<&str> = pages.iter().flat_map(|page| page.commands).copied().collect();
    for command in &commands {
        let has_document = printing.contains(command.as_str()) || OTHERS.contains(&command.as_str());
        assert!(has_document, "`{command}` prints no document");
    }
    for printing in printing {
        let is_there =
            commands.iter().any(|command| printing == command || printing.starts_with(&format!("{command} ")));
        assert!(is_there, "there is no command `{printing}`");
    }
}

fn leaves(command: &Command, before: &str, found: &mut Vec<String>) {
    for command in command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set()) {
        let name = format!("{before}{}", command.get_name());
        match command.has_subcommands() {
            true => leaves(command, &format!("{name} "), found),
            false => found.push(name),
        }
    }
}

/// A list has items of the same fields as the document that shows one of them alone.
#[test]
fn what_is_listed_has_the_same_fields_where_it_is_shown() {
    let pages = pages();
    let schema = |name: &str| &pages.iter().find(|page| page.name == name).unwrap().schema;
    let listed = |page: &str, part: &str| schema(page)["$defs"][part]["properties"].as_object().unwrap().clone();
    let root = |page: &str| schema(page)["properties"].as_object().unwrap().clone();
    let within = |item: &Map<String, Value>, shown: &Map<String, Value>| {
        let missing: Vec<_> = item.iter().filter(|(name, field)| shown.get(*name) != Some(field)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    };
    let run = listed("runs", "RunSummary");
    for page in ["run", "finished-run"] {
        within(&run, &root(page));
    }
    within(&run, &listed("run-answers", "Row"));
    for page in ["dead-letters", "deleted-runs"] {
        assert_eq!(run, listed(page, "RunSummary"), "{page}");
    }
    within(&listed("workflows", "WorkflowRecord"), &root("workflow"));
    assert_eq!(listed("packages", "VersionView"), listed("package", "VersionView"));
}
