//! What makes a module part of a package: its record in the section `cloacina`, which is read without running the
//! library, and its entry in the section `cloacina_fn`, by which the library finds its own functions.
//!
//! A section's name has no dot, because only for C identifiers does the linker define where the section starts and ends.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

/// The two statics.
pub(crate) fn exports(private: &Path) -> TokenStream {
    let record_section = section("cloacina", "__DATA,cloacina", ".clcn");
    let entry_section = section("cloacina_fn", "__DATA,cloacina_fn", ".clcnfn");
    quote! {
        const _: () = {
            const LEN: usize = #private::total_len(__CLOACINA_JSON);
            #[used]
            #record_section
            static RECORD: #private::Record<LEN> = #private::Record::new(__CLOACINA_JSON);
            #[used]
            #entry_section
            static ENTRY: #private::Entry = #private::Entry::new(&__CLOACINA_WORKFLOW);
        };
    }
}

fn section(elf: &str, apple: &str, windows: &str) -> TokenStream {
    quote! {
        #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = #elf))]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = #apple))]
        #[cfg_attr(windows, unsafe(link_section = #windows))]
    }
}
