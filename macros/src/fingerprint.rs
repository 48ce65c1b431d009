//! The fingerprint of a workflow: sha-256 over the token trees of its module and of its attribute.
//!
//! Two sources with one meaning have one fingerprint: doc comments, other comments, white space and places in files do
//! not count. Everything else does, so equal fingerprints mean equal code. The spacing that the compiler reports between
//! punctuation depends on layout (`:-1` or `: -1`), so operators are told apart by the language's own list instead.

use std::collections::VecDeque;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree, token_stream::IntoIter};
use sha2::{Digest, Sha256};

/// The operators of more than one character, longest first, so that the first match is the right one.
const OPERATORS: &[&str] = &[
    "<<=", ">>=", "...", "..=", "::", "->", "=>", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "%=",
    "^=", "&=", "|=", "<<", ">>", "..", "<-",
];

/// The fingerprint in hexadecimal.
pub(crate) fn fingerprint(attribute: TokenStream, module: TokenStream) -> String {
    let mut hasher = Sha256::new();
    feed_stream(&mut hasher, attribute);
    feed(&mut hasher, b'|', "");
    feed_stream(&mut hasher, module);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each token is hashed with its kind and its length, so that no two different sequences give the same bytes.
fn feed(hasher: &mut Sha256, kind: u8, text: &str) {
    hasher.update([kind]);
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn feed_stream(hasher: &mut Sha256, stream: TokenStream) {
    let mut trees = Trees { ahead: VecDeque::new(), rest: stream.into_iter() };
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => {
                // A group without delimiters comes from a macro's variable, not from the source.
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                if !open.is_empty() {
                    feed(hasher, b'g', open);
                }
                feed_stream(hasher, group.stream());
                if !close.is_empty() {
                    feed(hasher, b'g', close);
                }
            }
            TokenTree::Ident(ident) => feed(hasher, b'i', &ident.to_string()),
            TokenTree::Literal(literal) => feed(hasher, b'l', &literal.to_string()),
            TokenTree::Punct(first) => {
                if first.as_char() == '#' && skip_doc_comment(&mut trees) {
                    continue;
                }
                let mut run = String::from(first.as_char());
                let mut joined = first.spacing() == Spacing::Joint;
                // A `#` may open a doc comment, so it never hides inside a run.
                while joined
                    && let Some(TokenTree::Punct(next)) = trees.peek(0)
                    && next.as_char() != '#'
                {
                    run.push(next.as_char());
                    joined = next.spacing() == Spacing::Joint;
                    trees.next();
                }
                feed_operators(hasher, &run);
            }
        }
    }
}

/// A stream with the next few trees in view. A copy of the compiler's stream would cost with its length.
struct Trees {
    ahead: VecDeque<TokenTree>,
    rest: IntoIter,
}

impl Trees {
    fn next(&mut self) -> Option<TokenTree> {
        self.ahead.pop_front().or_else(|| self.rest.next())
    }

    fn peek(&mut self, place: usize) -> Option<&TokenTree> {
        while self.ahead.len() <= place {
            self.ahead.push_back(self.rest.next()?);
        }
        self.ahead.get(place)
    }
}

fn feed_operators(hasher: &mut Sha256, mut run: &str) {
    while let Some(first) = run.chars().next() {
        let operator = OPERATORS.iter().find(|operator| run.starts_with(**operator));
        let (token, rest) = run.split_at(operator.map_or(first.len_utf8(), |operator| operator.len()));
        feed(hasher, b'p', token);
        run = rest;
    }
}

/// After a `#`: whether `[doc = …]` or `![doc = …]` follows, and if so, takes it off.
fn skip_doc_comment(trees: &mut Trees) -> bool {
    let is_inner = matches!(trees.peek(0), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
    let place = usize::from(is_inner);
    let Some(TokenTree::Group(group)) = trees.peek(place) else { return false };
    let mut inside = group.stream().into_iter();
    let is_doc = group.delimiter() == Delimiter::Bracket
        && matches!(inside.next(), Some(TokenTree::Ident(ident)) if ident == "doc")
        && matches!(inside.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '=');
    if is_doc {
        trees.ahead.drain(..=place);
    }
    is_doc
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    fn of(attribute: &str, module: &str) -> String {
        fingerprint(attribute.parse().unwrap(), module.parse().unwrap())
    }

    #[test]
    fn layout_and_comments_do_not_count() {
        let plain = of("name = \"a\"", "mod a { fn f() { g(json!({\"k\":-1}), a && b) } }");
        let spread = of(
            "name  =  \"a\"",
            "/// What it does.\nmod a {\n//! Inside.\n /* here */ fn f() {\n g(json!({\"k\" : - 1}), a && b) // there\n } }",
        );
        assert_eq!(plain, spread);
        assert_eq!(plain.len(), 64);
    }

    #[test]
    fn code_and_attribute_count() {
        let plain = of("name = \"a\"", "mod a { fn f() { a && b } }");
        for (attribute, module) in [
            ("name = \"b\"", "mod a { fn f() { a && b } }"),
            ("name = \"a\"", "mod a { fn f() { a & &b } }"),
            ("name = \"a\"", "mod a { fn f() { a || b } }"),
            ("name = \"a\"", "mod a { fn f() { (a && b) } }"),
            ("name = \"a\"", "mod a { #[doc(hidden)] fn f() { a && b } }"),
            ("", "mod a { fn f() { a && b } }"),
        ] {
            assert_ne!(plain, of(attribute, module), "{attribute} {module}");
        }
    }

    #[test]
    fn the_fingerprint_of_one_source_never_changes() {
        assert_eq!(of("", ""), "69200599478b5ae6841675db0a025943f55534aff5b6ac96751515d7d3d51481");
    }
}
