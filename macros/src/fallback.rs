//! What a module with mistakes expands to: everything that its author wrote, a stub of `workflow()`, and the mistakes.
//!
//! The rest of the program finds every function that it expects, so the compiler has nothing to add to the list.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, Item, Path, parse_quote};

use crate::{ast::Module, expand, mistakes::Mistakes};

/// A module whose mistakes are known.
pub(crate) fn with_stub(module: Module, private: &Path, mistakes: Mistakes) -> TokenStream {
    let Module { name, mut item, .. } = module;
    if let Some((_, items)) = &mut item.content {
        items.iter_mut().for_each(without_self);
        let has_own = items.iter().any(|item| matches!(item, Item::Fn(function) if function.sig.ident == "workflow"));
        if !has_own {
            let body = quote!(::core::unreachable!("the module has mistakes"));
            items.push(Item::Verbatim(expand::workflow_function(&name.value, private, &body)));
        }
    }
    unread(item.into_token_stream(), mistakes)
}

/// Tokens that are no workflow module, as they are.
pub(crate) fn unread(tokens: TokenStream, mistakes: Mistakes) -> TokenStream {
    let errors = mistakes.into_compile_errors();
    quote!(#tokens #errors)
}

/// A function with `self` outside of an `impl` is refused by the compiler a second time, so it loses that parameter and
/// its body, which may use it.
fn without_self(item: &mut Item) {
    if let Item::Fn(function) = item
        && function.sig.receiver().is_some()
    {
        let inputs = std::mem::take(&mut function.sig.inputs);
        function.sig.inputs = inputs.into_iter().filter(|input| matches!(input, FnArg::Typed(_))).collect();
        function.block = parse_quote!({ ::core::unreachable!("the module has mistakes") });
    }
}
