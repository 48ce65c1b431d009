//! The names of signatures that a module does not have in scope.
//!
//! The commonest cause is a module without `use super::*;`: it does not see the imports of the file around it. The
//! compiler would answer that `Context` might mean `std::task::Context`. A macro sees tokens only, so where a glob import
//! or another macro may bring a name, nothing is said.

use std::collections::BTreeSet;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, Signature, UseTree};

use crate::{ast::Module, mistakes::Mistakes};

/// The names that the prelude exports and signatures need.
const NAMES: &[&str] = &["Context", "Value", "TaskError", "Outcome"];

pub(crate) fn check(module: &Module, mistakes: &mut Mistakes) {
    for ident in missing(module) {
        let message = format!(
            "`{ident}` is not in scope: a module does not see the imports around it. Begin the module with \
             `use super::*;`, and the file with the prelude, such as `use cloacina_workflow::prelude::*;`"
        );
        mistakes.push(ident, message);
    }
}

/// The first use of each name that is certainly not in scope.
pub(crate) fn missing(module: &Module) -> Vec<Ident> {
    let items = module.item.content.iter().flat_map(|(_, items)| items);
    let mut known = BTreeSet::new();
    if !items.into_iter().all(|item| collect(item, &mut known)) {
        return Vec::new();
    }
    let mut missing = Vec::new();
    let signatures = module.tasks.iter().map(|task| &task.signature);
    for signature in signatures.chain(callbacks(module)) {
        let written = [signature.inputs.to_token_stream(), signature.output.to_token_stream()];
        for ident in written.into_iter().flat_map(bare_names) {
            if known.insert(ident.to_string()) {
                missing.push(ident);
            }
        }
    }
    missing
}

fn callbacks(module: &Module) -> impl Iterator<Item = &Signature> {
    let named = module.tasks.iter().flat_map(|task| [&task.attributes.on_success, &task.attributes.on_failure]);
    let named: BTreeSet<String> = named.flatten().map(ToString::to_string).collect();
    let functions = module.functions.iter().map(|function| &function.signature);
    functions.filter(move |signature| named.contains(&signature.ident.to_string()))
}

/// Adds what an item brings into scope; whether that is all that it may bring.
fn collect(item: &Item, known: &mut BTreeSet<String>) -> bool {
    let ident = match item {
        Item::Use(item) => return imported(&item.tree, known),
        Item::Macro(_) | Item::Verbatim(_) => return false,
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Mod(item) => &item.ident,
        _ => return true,
    };
    known.insert(ident.to_string());
    true
}

fn imported(tree: &UseTree, known: &mut BTreeSet<String>) -> bool {
    match tree {
        UseTree::Path(path) => return imported(&path.tree, known),
        UseTree::Group(group) => return group.items.iter().all(|tree| imported(tree, known)),
        UseTree::Glob(_) => return false,
        UseTree::Name(name) => known.insert(name.ident.to_string()),
        UseTree::Rename(rename) => known.insert(rename.rename.to_string()),
    };
    true
}

/// The names of the prelude that stand there without a path before them.
fn bare_names(tokens: TokenStream) -> Vec<Ident> {
    let mut found = Vec::new();
    let mut follows_path = false;
    for tree in tokens {
        match &tree {
            TokenTree::Ident(ident) if !follows_path && NAMES.iter().any(|name| ident == name) => {
                found.push(ident.clone());
            }
            TokenTree::Group(group) => found.extend(bare_names(group.stream())),
            _ => {}
        }
        // The colon of a parameter stands alone, those of a path in a pair.
        follows_path = matches!(&tree, TokenTree::Punct(punct)
            if punct.as_char() == ':' && (follows_path || punct.spacing() == proc_macro2::Spacing::Joint));
    }
    found
}
