//! The function table: tasks in the order of the source, then callbacks in the order in which tasks first name them.
//!
//! An entry is a closure without captures around a call of the user's function. Its tokens have the place of the
//! function's name (the conversion of the error, that of the return type), so that a future that is not `Send` or an
//! error that does not convert is reported there.

use std::collections::BTreeSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{Path, ReturnType, Signature, spanned::Spanned};

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

fn find<'a>(module: &'a Module, ident: &Ident) -> Option<&'a Function> {
    module.functions.iter().find(|function| function.signature.ident == *ident)
}

fn task_entry(signature: &Signature, private: &Path) -> TokenStream {
    let function = &signature.ident;
    let place = placed(function.span());
    let call = quote_spanned!(place=> self::#function(context));
    if signature.asyncness.is_some() {
        let result = converted("task_result", &quote_spanned!(place=> #call.await), signature, private);
        quote_spanned! {place=>
            #private::Function::AsyncTask(|context| ::std::boxed::Box::pin(async move { #result }))
        }
    } else {
        let result = converted("task_result", &call, signature, private);
        quote_spanned!(place=> #private::Function::Task(|context| #result))
    }
}

fn callback_entry(signature: &Signature, private: &Path) -> TokenStream {
    let function = &signature.ident;
    let place = placed(function.span());
    let call = quote_spanned!(place=> self::#function(outcome, context));
    if signature.asyncness.is_some() {
        let result = converted("callback_result", &quote_spanned!(place=> #call.await), signature, private);
        quote_spanned! {place=>
            #private::Function::AsyncCallback(|outcome, context| ::std::boxed::Box::pin(async move { #result }))
        }
    } else {
        let result = converted("callback_result", &call, signature, private);
        quote_spanned!(place=> #private::Function::Callback(|outcome, context| #result))
    }
}

fn converted(conversion: &str, call: &TokenStream, signature: &Signature, private: &Path) -> TokenStream {
    let place = match &signature.output {
        ReturnType::Default => placed(signature.ident.span()),
        ReturnType::Type(_, output) => placed(output.span()),
    };
    let conversion = Ident::new(conversion, place);
    quote_spanned!(place=> #private::#conversion(#call))
}

/// The place of what the user wrote with the macro's own name resolution, which lints take for foreign code.
fn placed(span: Span) -> Span {
    Span::call_site().located_at(span)
}
