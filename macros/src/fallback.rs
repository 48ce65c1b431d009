//! What a module with mistakes expands to: everything that its author wrote, a stub of `workflow()`, and the mistakes.
//!
//! The rest of the program finds every function that it expects, so the compiler has nothing to add to the list.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Item, Path};

use crate::{ast::Module, expand, mistakes::Mistakes};

/// A module whose mistakes are known.
pub(crate) fn with_stub(module: Module, private: &Path, mistakes: Mistakes) -> TokenStream {
    let Module { name, mut item, .. } = module;
    if let Some((_, items)) = &mut item.content {
        // A function with `self` is refused by the compiler as well, and cannot be called by anyone.
        items.retain(|item| !matches!(item, Item::Fn(function) if function.sig.receiver().is_some()));
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
