//! The module with everything that is added to it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Item, Path};

use crate::{
    ast::{Kind, Module},
    expand::{descriptor, function, package},
};

/// Each entry of the function table is an item of its own: the compiler keeps what it knows of a body once per closure
/// in it, so one static with a closure for each task would cost with the square of their number.
///
/// `module` is valid; `private` is the path of the private module that the expansion may name.
pub(crate) fn expand(module: Module, private: &Path) -> TokenStream {
    let name = &module.name.value;
    let pieces = descriptor::pieces(&module, private);
    let entries = function::table(&module, private);
    let names: Vec<_> = (0..entries.len()).map(|index| format_ident!("__CLOACINA_FUNCTION_{index}")).collect();
    let workflow = workflow_function(name, private, &quote!(#private::Workflow::new(&__CLOACINA_WORKFLOW)));
    let exports = match module.kind {
        Kind::Packaged => package::exports(private),
        Kind::Embedded => TokenStream::new(),
    };
    let added = quote! {
        #workflow

        #[doc(hidden)]
        const __CLOACINA_JSON: &[&str] = &[#(#pieces),*];

        #(const #names: #private::Function = #entries;)*

        #[doc(hidden)]
        static __CLOACINA_WORKFLOW: #private::StaticWorkflow = #private::StaticWorkflow {
            name: #name,
            json: __CLOACINA_JSON,
            functions: &[#(#names),*],
        };

        #exports
    };
    let mut item = module.item;
    if let Some((_, items)) = &mut item.content {
        items.push(Item::Verbatim(added));
    }
    item.into_token_stream()
}

/// The function `workflow` with the given body; also the stub of a module with mistakes has one.
pub(crate) fn workflow_function(name: &str, private: &Path, body: &TokenStream) -> TokenStream {
    let doc = format!("The workflow `{name}`, for an engine to register.");
    let ident = syn::Ident::new("workflow", Span::call_site());
    quote! {
        #[doc = #doc]
        #[must_use]
        pub fn #ident() -> #private::Workflow {
            #body
        }
    }
}
