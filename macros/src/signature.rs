//! The signatures of tasks and callbacks, as far as they can be told from the tokens.
//!
//! A macro sees names and not types: a `Context` is what is called so. What a name hides from here (another crate's
//! `Context`, an error other than `TaskError`) the compiler reports at the function, because the expansion calls it
//! under the function's own span.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{FnArg, GenericArgument, GenericParam, PathArguments, PathSegment, ReturnType, Safety, Signature, Type};

use crate::mistakes::Mistakes;

/// `fn(&mut Context<Value>) -> Result<(), E>`.
pub(crate) fn task(signature: &Signature, mistakes: &mut Mistakes) {
    ordinary("task", signature, mistakes);
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        None => mistakes
            .push_at(signature.paren_token.span.join(), "a task takes one parameter: `context: &mut Context<Value>`"),
        Some(FnArg::Receiver(receiver)) => {
            mistakes.push(receiver, "a task is not a method: its one parameter is `context: &mut Context<Value>`");
        }
        Some(FnArg::Typed(typed)) if !is_reference_to(&typed.ty, "Context", true) => {
            mistakes.push(&typed.ty, "the parameter of a task has the type `&mut Context<Value>`");
        }
        Some(FnArg::Typed(_)) => {}
    }
    let others: TokenStream = inputs.map(ToTokens::to_token_stream).collect();
    if !others.is_empty() {
        mistakes.push(others, "a task takes one parameter; everything else comes from its context");
    }
    match &signature.output {
        ReturnType::Default => {
            mistakes.push(&signature.ident, "a task returns `Result<(), TaskError>`, but this one returns nothing");
        }
        ReturnType::Type(_, output) if !is_result(output) => {
            mistakes.push(output, "a task returns `Result<(), TaskError>`; its results go into its context");
        }
        ReturnType::Type(..) => {}
    }
}

/// `fn(&Outcome, &Context<Value>)` with `()` or `Result<(), E>`.
pub(crate) fn callback(signature: &Signature, mistakes: &mut Mistakes) {
    ordinary("callback", signature, mistakes);
    let types: Vec<Option<&Type>> = signature
        .inputs
        .iter()
        .map(|input| match input {
            FnArg::Typed(typed) => Some(&*typed.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let fits = matches!(types.as_slice(), [Some(outcome), Some(context)]
        if is_reference_to(outcome, "Outcome", false) && is_reference_to(context, "Context", false));
    if !fits {
        let message = "a callback takes `outcome: &Outcome, context: &Context<Value>`";
        if signature.inputs.is_empty() {
            mistakes.push_at(signature.paren_token.span.join(), message);
        } else {
            mistakes.push(&signature.inputs, message);
        }
    }
    if let ReturnType::Type(_, output) = &signature.output
        && !is_result(output)
        && !is_unit(output)
    {
        mistakes.push(output, "a callback returns nothing or `Result<(), TaskError>`");
    }
}

/// Whether a function without #[task] was probably meant to have one.
pub(crate) fn looks_like_task(signature: &Signature) -> bool {
    let mut mistakes = Mistakes::default();
    task(signature, &mut mistakes);
    mistakes.is_empty()
}

/// What holds for both: nothing about the call may need knowledge that only a Rust caller has.
fn ordinary(what: &str, signature: &Signature, mistakes: &mut Mistakes) {
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes.push(token, format!("a {what} is safe to call; keep `unsafe` inside of its body"));
    }
    if let Some(abi) = &signature.abi {
        mistakes.push(abi, format!("a {what} is an ordinary Rust function, without `extern`"));
    }
    for parameter in &signature.generics.params {
        match parameter {
            GenericParam::Lifetime(_) => {}
            GenericParam::Type(_) | GenericParam::Const(_) => {
                mistakes
                    .push(parameter, format!("a {what} has no generic parameters: the engine could not choose them"));
            }
        }
    }
}

fn is_reference_to(ty: &Type, name: &str, is_mutable: bool) -> bool {
    match ty {
        Type::Group(group) => is_reference_to(&group.elem, name, is_mutable),
        Type::Paren(paren) => is_reference_to(&paren.elem, name, is_mutable),
        Type::Reference(reference) => {
            reference.mutability.is_some() == is_mutable
                && last_segment(&reference.elem)
                    .is_some_and(|segment| segment.ident == name && holds_values(&segment.arguments))
        }
        _ => false,
    }
}

/// No type argument, or one that is called `Value`.
fn holds_values(arguments: &PathArguments) -> bool {
    match arguments {
        PathArguments::None => true,
        PathArguments::AngleBracketed(list) => match list.args.iter().collect::<Vec<_>>().as_slice() {
            [] => true,
            [GenericArgument::Type(ty)] => last_segment(ty).is_some_and(|segment| segment.ident == "Value"),
            _ => false,
        },
        PathArguments::Parenthesized(_) => false,
    }
}

/// A path that ends in `Result`, with `()` first where it says what it holds: an alias may leave that out.
fn is_result(ty: &Type) -> bool {
    let Some(segment) = last_segment(ty) else { return false };
    segment.ident == "Result"
        && match &segment.arguments {
            PathArguments::None => true,
            PathArguments::AngleBracketed(list) => {
                matches!(list.args.first(), Some(GenericArgument::Type(ty)) if is_unit(ty)) && list.args.len() <= 2
            }
            PathArguments::Parenthesized(_) => false,
        }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}
