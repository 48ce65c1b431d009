//! The collector of compile errors.
//!
//! Every rule adds what it found and goes on, so that the author of a module reads all of its mistakes at once, in
//! the order in which they were found: the module's attribute, each task from top to bottom, then the graph. The
//! collector decides nothing and never stops anything.

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
    combined: Option<syn::Error>,
}

impl Mistakes {
    /// Adds a mistake that underlines `tokens`; without any tokens it underlines the whole attribute.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.add(syn::Error::new_spanned(tokens, message.into()));
    }

    /// Adds a mistake at a place that is no token of its own, such as between two parentheses.
    pub(crate) fn push_at(&mut self, span: Span, message: impl Into<String>) {
        self.add(syn::Error::new(span, message.into()));
    }

    fn add(&mut self, error: syn::Error) {
        match &mut self.combined {
            None => self.combined = Some(error),
            Some(combined) => combined.combine(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.combined.is_none()
    }

    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.combined.map(syn::Error::into_compile_error).unwrap_or_default()
    }

    /// The messages alone, for tests of single rules.
    #[cfg(test)]
    pub(crate) fn messages(self) -> Vec<String> {
        self.combined.into_iter().flatten().map(|error| error.to_string()).collect()
    }
}
