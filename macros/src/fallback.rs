//! What a module with mistakes expands to: everything that its author wrote, a stub of `workflow()`, and the mistakes.
//!
//! The rest of the program finds every function that it expects, so the compiler has nothing to add to the list.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{FnArg, Item, Path, parse_quote};

use crate::{
    ast::{self, Module},
    expand,
    mistakes::Mistakes,
    scope,
};

/// A module with known mistakes.
pub(crate) fn with_stub(module: Module, private: &Path, mistakes: Mistakes) -> TokenStream {
    // What was said to be missing is not to be missed by the compiler once more.
    let missing = scope::missing(&module);
    let Module { name, mut item, .. } = module;
    if let Some((_, items)) = &mut item.content {
        items.iter_mut().for_each(without_self);
        if !missing.is_empty() {
            // `task` is missing with them.
            items.iter_mut().for_each(without_task);
            items.push(parse_quote!(use #private::names::{#(#missing),*};));
        }
        let has_own = items.iter().any(|item| matches!(item, Item::Fn(function) if function.sig.ident == "workflow"));
        if !has_own {
            items.push(Item::Verbatim(expand::workflow_function(&name.value, private, &stub_body())));
        }
    }
    with_errors(item.into_token_stream(), mistakes)
}

/// Tokens that are not a module, or a module that cannot be parsed: as they are, but for the `#[task]` in them, which would
/// complain that no module attribute has seen them, and with the stub where there is a module to hold it.
pub(crate) fn unread(tokens: TokenStream, private: &Path, mistakes: Mistakes) -> TokenStream {
    let mut trees: Vec<TokenTree> = without_tasks(tokens);
    let is_module = trees.iter().any(|tree| matches!(tree, TokenTree::Ident(ident) if ident == "mod"));
    if let (true, Some(TokenTree::Group(body))) = (is_module, trees.last_mut()) {
        let inside = body.stream();
        let stub = expand::workflow_function("workflow", private, &stub_body());
        let span = body.span();
        *body = Group::new(body.delimiter(), quote!(#inside #stub));
        body.set_span(span);
    }
    with_errors(trees.into_iter().collect(), mistakes)
}

/// An item and the mistakes behind it.
pub(crate) fn with_errors(item: TokenStream, mistakes: Mistakes) -> TokenStream {
    let errors = mistakes.into_compile_errors();
    quote!(#item #errors)
}

fn stub_body() -> TokenStream {
    quote!(::core::unreachable!("the module has mistakes"))
}

/// Writes the checked form into each `#[task]` and `#[path::task(…)]`, at any depth.
fn without_tasks(tokens: TokenStream) -> Vec<TokenTree> {
    let mut trees: Vec<TokenTree> = Vec::new();
    for tree in tokens {
        let TokenTree::Group(group) = tree else {
            trees.push(tree);
            continue;
        };
        let follows_hash = matches!(trees.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == '#');
        let mut inside = without_tasks(group.stream());
        if follows_hash && group.delimiter() == Delimiter::Bracket {
            let n_path = inside.iter().take_while(|tree| !matches!(tree, TokenTree::Group(_))).count();
            let is_task = matches!(&inside[..n_path], [.., TokenTree::Ident(last)] if last == "task");
            if is_task {
                inside.truncate(n_path);
                let checked = Ident::new(ast::CHECKED, Span::call_site());
                inside.extend(quote!((#checked)));
            }
        }
        let mut copy = Group::new(group.delimiter(), inside.into_iter().collect());
        copy.set_span(group.span());
        trees.push(TokenTree::Group(copy));
    }
    trees
}

fn without_task(item: &mut Item) {
    if let Item::Fn(function) = item {
        function.attrs.retain(|attribute| !ast::is_task(attribute));
    }
}

/// A function with `self` outside of an `impl` is refused by the compiler a second time, so it loses that parameter and
/// its body, which may use it.
fn without_self(item: &mut Item) {
    if let Item::Fn(function) = item
        && function.sig.receiver().is_some()
    {
        let inputs = std::mem::take(&mut function.sig.inputs);
        function.sig.inputs = inputs.into_iter().filter(|input| matches!(input, FnArg::Typed(_))).collect();
        let body = stub_body();
        function.block = parse_quote!({ #body });
    }
}
