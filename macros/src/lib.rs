//! The attribute macros of Cloacina: `#[packaged_workflow]`, `#[workflow]` and `#[task]`.
//!
//! This file is the entry points; the way of a module is `attr` (what is written) → `ast` (our tree) → `valid` (all
//! rules) → `expand` (tokens), or `fallback` when there are mistakes. There are two entry points per attribute, because
//! generated code may name only a crate that its user depends on: the plain ones expand to `::cloacina_workflow`, which
//! re-exports them, and those with the prefix `engine_` to `::cloacina`, which re-exports them without the prefix.
//!
//! A macro is a function of its tokens: it reads no file and no environment and keeps nothing between two calls.
//! `docs/reference/macros.md` lists every attribute.
#![forbid(unsafe_code)]

mod argument;
mod ast;
mod attr;
mod expand;
mod fallback;
mod fingerprint;
mod graph;
mod mistakes;
mod rule;
mod scope;
mod signature;
mod suggest;
mod valid;

#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{Path, parse_quote};

use self::{
    ast::{Kind, Module},
    mistakes::Mistakes,
};

/// Makes a module a workflow of a package: a library that an engine loads.
#[proc_macro_attribute]
pub fn packaged_workflow(arguments: TokenStream, item: TokenStream) -> TokenStream {
    module(Kind::Packaged, parse_quote!(::cloacina_workflow), arguments.into(), item.into()).into()
}

/// Makes a module a workflow that is compiled into the program that runs it.
#[proc_macro_attribute]
pub fn workflow(arguments: TokenStream, item: TokenStream) -> TokenStream {
    module(Kind::Embedded, parse_quote!(::cloacina_workflow), arguments.into(), item.into()).into()
}

/// Makes a function of a workflow module one of its tasks.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function(&arguments.into(), item.into()).into()
}

/// `packaged_workflow` for crates that depend on the engine.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn engine_packaged_workflow(arguments: TokenStream, item: TokenStream) -> TokenStream {
    module(Kind::Packaged, parse_quote!(::cloacina), arguments.into(), item.into()).into()
}

/// `workflow` for crates that depend on the engine.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn engine_workflow(arguments: TokenStream, item: TokenStream) -> TokenStream {
    module(Kind::Embedded, parse_quote!(::cloacina), arguments.into(), item.into()).into()
}

/// `task` for crates that depend on the engine.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn engine_task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function(&arguments.into(), item.into()).into()
}

/// A module attribute; `home` is the crate that the entry point stands for.
fn module(
    kind: Kind,
    home: Path,
    arguments: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut mistakes = Mistakes::default();
    let Some(module) = Module::read(kind, arguments, item.clone(), &mut mistakes) else {
        return fallback::unread(item, &parse_quote!(#home::__private::v1), mistakes);
    };
    let home = module.attributes.krate.clone().unwrap_or(home);
    let private = parse_quote!(#home::__private::v1);
    valid::check(&module, &mut mistakes);
    if mistakes.is_empty() { expand::expand(module, &private) } else { fallback::with_stub(module, &private, mistakes) }
}

/// `#[task]` itself: nothing where the module's attribute has read it, a mistake anywhere else.
fn function(arguments: &proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    if arguments.to_string() == ast::CHECKED {
        return item;
    }
    let mut mistakes = Mistakes::default();
    mistakes.push_at(
        proc_macro2::Span::call_site(),
        "#[task] belongs inside a module marked #[packaged_workflow] or #[workflow]",
    );
    fallback::with_errors(item, mistakes)
}
