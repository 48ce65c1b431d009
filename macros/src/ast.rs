//! Our tree of a workflow module, made from syn's: the module's attribute, its tasks, and its other functions.
//!
//! Making the tree also cleans the module: each `#[task(…)]` becomes `#[task(__checked)]`, under which the attribute
//! expands to the bare function. So the user's import of `task` stays in use, the functions stay ordinary functions, and
//! a `#[task]` that no module attribute has seen can be told from one that was. Validation is left to `valid.rs`, except
//! for a `#[task]` where none can be.

use proc_macro2::{Ident, Span, TokenStream};
use syn::{
    Attribute, Expr, Item, ItemFn, ItemMod, Lit, Meta, Signature,
    ext::IdentExt,
    parse_quote,
    visit_mut::{self, VisitMut},
};

use crate::{
    attr::{TaskAttributes, WorkflowAttributes},
    fingerprint,
    mistakes::{Located, Mistakes},
};

/// What stands in a `#[task(…)]` that the module's attribute has read.
pub(crate) const CHECKED: &str = "__checked";

/// Which of the two module attributes it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `#[packaged_workflow]`: compiled into a separate library.
    Packaged,
    /// `#[workflow]`: compiled into the program that runs it.
    Embedded,
}

/// A workflow module.
pub(crate) struct Module {
    pub(crate) kind: Kind,
    pub(crate) attributes: WorkflowAttributes,
    pub(crate) name: Located<String>,
    pub(crate) description: Option<String>,
    /// In the order of the source, which is the order of the function indices.
    pub(crate) tasks: Vec<Task>,
    /// The functions of the module that are not tasks.
    pub(crate) functions: Vec<Function>,
    pub(crate) fingerprint: String,
    /// The cleaned module.
    pub(crate) item: ItemMod,
}

pub(crate) struct Task {
    pub(crate) attributes: TaskAttributes,
    pub(crate) id: Located<String>,
    pub(crate) description: Option<String>,
    pub(crate) signature: Signature,
}

pub(crate) struct Function {
    pub(crate) signature: Signature,
    /// The `#[cfg]` that may take the function away.
    pub(crate) condition: Option<Attribute>,
}

impl Module {
    /// `None` when the tokens are not a module with a body; then there is nothing to clean either.
    pub(crate) fn read(
        kind: Kind,
        arguments: TokenStream,
        tokens: TokenStream,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let name = attribute_name(kind);
        let item = match syn::parse2::<Item>(tokens.clone()) {
            Ok(item) => item,
            Err(error) => {
                mistakes.push_error(error);
                return None;
            }
        };
        let Item::Mod(mut item) = item else {
            mistakes.push(head(&item), format!("#[{name}] belongs on a module: `mod name {{ … }}`"));
            return None;
        };
        if item.content.is_none() {
            mistakes
                .push(&item.ident, "a workflow module has its body in place: `mod name { … }`, not a file of its own");
            return None;
        }
        let fingerprint = fingerprint::fingerprint(arguments.clone(), tokens);
        let attributes = WorkflowAttributes::read(arguments, mistakes);
        for attribute in item.attrs.iter().filter(|attribute| is_module_attribute(attribute)) {
            mistakes.push(attribute, "a module is one workflow: give it one such attribute");
        }
        // The other attribute would find its tasks already taken and complain about that.
        item.attrs.retain(|attribute| !is_module_attribute(attribute));
        let (tasks, functions) = clean(&mut item, mistakes);
        let name = match &attributes.name {
            Some(name) => name.clone(),
            None => Located::new(item.ident.unraw().to_string(), &item.ident),
        };
        let description = described(attributes.description.as_ref(), &item.attrs);
        Some(Self { kind, attributes, name, description, tasks, functions, fingerprint, item })
    }
}

impl Task {
    fn new(attributes: TaskAttributes, function: &ItemFn) -> Self {
        let ident = &function.sig.ident;
        let id = match &attributes.id {
            Some(id) => id.clone(),
            None => Located::new(ident.unraw().to_string(), ident),
        };
        let description = described(attributes.description.as_ref(), &function.attrs);
        Self { attributes, id, description, signature: function.sig.clone() }
    }

    pub(crate) fn function(&self) -> &Ident {
        &self.signature.ident
    }
}

pub(crate) fn attribute_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Packaged => "packaged_workflow",
        Kind::Embedded => "workflow",
    }
}

/// Takes the tasks and the other functions from a module and leaves the module clean.
fn clean(item: &mut ItemMod, mistakes: &mut Mistakes) -> (Vec<Task>, Vec<Function>) {
    let mut tasks = Vec::new();
    let mut functions = Vec::new();
    for item in item.content.iter_mut().flat_map(|(_, items)| items) {
        let Item::Fn(function) = item else {
            Stray { mistakes }.visit_item_mut(item);
            continue;
        };
        let attributes = task_attributes(function, mistakes);
        Stray { mistakes }.visit_block_mut(&mut function.block);
        match attributes {
            Some(attributes) => tasks.push(Task::new(attributes, function)),
            None => {
                let condition = function.attrs.iter().find(|attribute| attribute.path().is_ident("cfg")).cloned();
                functions.push(Function { signature: function.sig.clone(), condition });
            }
        }
    }
    (tasks, functions)
}

/// Reads and replaces the `#[task]` of a function, if it has one.
fn task_attributes(function: &mut ItemFn, mistakes: &mut Mistakes) -> Option<TaskAttributes> {
    let mut found = None;
    for attribute in &mut function.attrs {
        if !is_task(attribute) {
            continue;
        }
        if found.is_some() {
            mistakes.push(&*attribute, "a function is one task: it takes one #[task]");
            check_off(attribute);
            continue;
        }
        let arguments = match &attribute.meta {
            Meta::Path(_) => TokenStream::new(),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(_) => {
                mistakes.push(&*attribute, "#[task] takes its attributes in parentheses: `#[task(id = \"extract\")]`");
                TokenStream::new()
            }
        };
        found = Some(TaskAttributes::read(arguments, mistakes));
        check_off(attribute);
    }
    for attribute in &function.attrs {
        let path = attribute.path();
        if path.is_ident("cfg") && found.is_some() {
            mistakes.push(attribute, "a task is always part of its workflow; put the #[cfg] on the whole module");
        } else if path.is_ident("cfg_attr") && names_task(attribute) {
            mistakes.push(attribute, "a #[task] cannot depend on a condition; put a #[cfg] on the whole module");
        }
    }
    found
}

pub(crate) fn is_task(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "task")
}

fn is_module_attribute(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "workflow" || segment.ident == "packaged_workflow")
}

fn names_task(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    list.tokens.clone().into_iter().any(|tree| matches!(tree, proc_macro2::TokenTree::Ident(ident) if ident == "task"))
}

fn check_off(attribute: &mut Attribute) {
    let path = attribute.path().clone();
    let checked = Ident::new(CHECKED, Span::call_site());
    attribute.meta = parse_quote!(#path(#checked));
}

/// Finds a `#[task]` where none can be: on a method, on a type, in a nested module, in a function's body.
struct Stray<'a> {
    mistakes: &'a mut Mistakes,
}

impl VisitMut for Stray<'_> {
    fn visit_attribute_mut(&mut self, attribute: &mut Attribute) {
        if is_task(attribute) {
            let message = "#[task] belongs on a function directly in the workflow module";
            self.mistakes.push(&*attribute, message);
            check_off(attribute);
        }
    }

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        // A workflow module inside of another one reads its own tasks.
        if !module.attrs.iter().any(is_module_attribute) {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }
}

/// The attribute's text, or else the first paragraph of the doc comment on one line, which is its summary by custom.
fn described(attribute: Option<&Located<String>>, attributes: &[Attribute]) -> Option<String> {
    if let Some(description) = attribute {
        return Some(description.value.clone());
    }
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(literal) = &pair.value
            && let Lit::Str(text) = &literal.lit
        {
            let text = text.value();
            lines.extend(if text.is_empty() { vec![String::new()] } else { text.lines().map(str::to_owned).collect() });
        }
    }
    let first: Vec<&str> = lines
        .iter()
        .map(|line| line.trim())
        .skip_while(|line| line.is_empty())
        .take_while(|line| !line.is_empty())
        .collect();
    (!first.is_empty()).then(|| first.join(" "))
}

/// What to underline of an item that is not a module: its name, if it is easy to find.
fn head(item: &Item) -> TokenStream {
    let ident = match item {
        Item::Fn(function) => &function.sig.ident,
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        _ => return quote::ToTokens::to_token_stream(item),
    };
    quote::ToTokens::to_token_stream(ident)
}
