//! The function table: tasks in the order of the source, then callbacks in the order in which tasks first name them.
//!
//! An entry is a closure without captures around a call of the user's function. Its tokens have the place of the
//! function's name, so that a future that is not `Send` or an error that does not convert is reported there.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Path, Signature};

use crate::ast::{Function, Module};

/// The entries, by function index.
pub(crate) fn table(module: &Module, private: &Path) -> Vec<TokenStream> {
    let tasks = module.tasks.iter().map(|task| task_entry(&task.signature, private));
    let callbacks = callbacks(module).into_iter().map(|callback| callback_entry(&callback.signature, private));
    tasks.chain(callbacks).collect()
}

/// The functions that tasks name as callbacks, in the order of their indices after the tasks.
pub(crate) fn callbacks(module: &Module) -> Vec<&Function> {
    let mut seen = BTreeSet::new();
    let named = module.tasks.iter().flat_map(|task| [&task.attributes.on_success, &task.attributes.on_failure]);
    named.flatten().filter(|ident| seen.insert(ident.to_string())).filter_map(|ident| find(module, ident)).collect()
}

/// How many of them there are.
pub(crate) fn n_callbacks(module: &Module) -> usize {
    callbacks(module).len()
}

fn find<'a>(module: &'a Module, ident: &Ident) -> Option<&'a Function> {
    module.functions.iter().find(|function| function.signature.ident == *ident)
}

fn task_entry(signature: &Signature, private: &Path) -> TokenStream {
    let function = &signature.ident;
    let (place, private) = placed(function, private);
    if signature.asyncness.is_some() {
        quote_spanned! {place=>
            #private::Function::AsyncTask(|context| ::std::boxed::Box::pin(async move {
                #private::task_result(self::#function(context).await)
            }))
        }
    } else {
        quote_spanned! {place=>
            #private::Function::Task(|context| #private::task_result(self::#function(context)))
        }
    }
}

fn callback_entry(signature: &Signature, private: &Path) -> TokenStream {
    let function = &signature.ident;
    let (place, private) = placed(function, private);
    if signature.asyncness.is_some() {
        quote_spanned! {place=>
            #private::Function::AsyncCallback(|outcome, context| ::std::boxed::Box::pin(async move {
                #private::callback_result(self::#function(outcome, context).await)
            }))
        }
    } else {
        quote_spanned! {place=>
            #private::Function::Callback(|outcome, context| {
                #private::callback_result(self::#function(outcome, context))
            })
        }
    }
}

/// The place of a function's name with the macro's own name resolution, which lints take for foreign code, and the
/// private path at that place: an error underlines from the first token of an expression to its last.
fn placed(function: &Ident, private: &Path) -> (Span, TokenStream) {
    let place = Span::call_site().located_at(function.span());
    let private = private.to_token_stream().into_iter().map(|mut tree| {
        // A path that the user wrote in `crate = …` keeps its own way of being resolved.
        let resolved = tree.span().located_at(function.span());
        tree.set_span(resolved);
        tree
    });
    (place, private.collect())
}
