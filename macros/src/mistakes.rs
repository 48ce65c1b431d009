//! The collector of compile errors.
//!
//! Every rule adds its mistakes and continues, so that the author of a module reads all mistakes at once, from
//! top to bottom. The collector decides nothing and never stops anything.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// A value and the tokens that it was written with, which is where an error about it points.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) tokens: TokenStream,
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, tokens: impl ToTokens) -> Self {
        Self { value, tokens: tokens.into_token_stream() }
    }
}

/// What is wrong with one module so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    found: Vec<syn::Error>,
}

impl Mistakes {
    /// Adds a mistake that underlines `tokens`; without any tokens it underlines the whole attribute.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.found.push(syn::Error::new_spanned(tokens, message.into()));
    }

    /// Adds a mistake at a place without a token, such as between two parentheses.
    pub(crate) fn push_at(&mut self, span: Span, message: impl Into<String>) {
        self.found.push(syn::Error::new(span, message.into()));
    }

    /// Adds what the parser says.
    pub(crate) fn push_error(&mut self, error: syn::Error) {
        self.found.push(error);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_compile_errors(mut self) -> TokenStream {
        self.found.sort_by_key(|mistake| place(mistake.span()));
        let combined = self.found.into_iter().reduce(|mut combined, mistake| {
            combined.combine(mistake);
            combined
        });
        combined.map(syn::Error::into_compile_error).unwrap_or_default()
    }

    /// The messages alone, for tests of single rules.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.found.iter().map(ToString::to_string).collect()
    }
}

/// Line and column, which only the compiler can tell; elsewhere the order of finding stays.
fn place(span: Span) -> (usize, usize) {
    if !proc_macro::is_available() {
        return (0, 0);
    }
    let span = span.unwrap();
    (span.line(), span.column())
}
