//! The syntax that all attributes share: `name = value`, `name(list)` and `name`, with commas between.
//!
//! Works on plain tokens and not with a parser that stops, because one broken argument must not hide the mistakes in
//! the others. It knows no attribute by name: which names there are and what they take stands in `attr.rs`. A reader
//! that returns `None` has said why in `Mistakes`.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::Lit;

use crate::{
    mistakes::{Located, Mistakes},
    suggest,
};

/// One argument of an attribute.
#[derive(Clone, Debug)]
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) given: Given,
}

/// What follows an argument's name.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Nothing,
    /// `= value`, never empty.
    Equals(Vec<TokenTree>),
    /// `(…)`.
    List(Group),
}

/// A literal, or a word that stands where a literal could.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    Word(String),
}

impl Argument {
    pub(crate) fn text(&self, mistakes: &mut Mistakes) -> Option<Located<String>> {
        let value = self.value("a string in quotes", mistakes)?;
        match scalar(value) {
            Some(Scalar::Text(text)) => Some(Located::new(text, stream(value))),
            Some(Scalar::Word(word)) => {
                self.wrong(value, &format!("takes a string in quotes: `{} = \"{word}\"`", self.name), mistakes)
            }
            _ => self.wrong(value, "takes a string in quotes", mistakes),
        }
    }

    pub(crate) fn boolean(&self, mistakes: &mut Mistakes) -> Option<Located<bool>> {
        let value = self.value("`true` or `false`", mistakes)?;
        match scalar(value) {
            Some(Scalar::Bool(flag)) => Some(Located::new(flag, stream(value))),
            _ => self.wrong(value, "takes `true` or `false`", mistakes),
        }
    }

    /// A whole number in `range`; `unit` completes the sentence "takes a whole number …".
    pub(crate) fn integer(
        &self,
        range: RangeInclusive<i64>,
        unit: &str,
        mistakes: &mut Mistakes,
    ) -> Option<Located<i64>> {
        let expected = format!("a whole number{unit} from {} to {}", grouped(*range.start()), grouped(*range.end()));
        let value = self.value(&expected, mistakes)?;
        let number = match scalar(value) {
            Some(Scalar::Integer(number)) => i64::try_from(number).ok().filter(|number| range.contains(number)),
            _ => None,
        };
        match number {
            Some(number) => Some(Located::new(number, stream(value))),
            None => self.wrong(value, &format!("takes {expected}"), mistakes),
        }
    }

    /// A string out of `words`.
    pub(crate) fn one_of(
        &self,
        words: &'static [&'static str],
        mistakes: &mut Mistakes,
    ) -> Option<Located<&'static str>> {
        let expected = format!("one of {} in quotes", quoted(words));
        let value = self.value(&expected, mistakes)?;
        let written = match scalar(value) {
            Some(Scalar::Text(text)) => text,
            Some(Scalar::Word(word)) => word,
            _ => return self.wrong(value, &format!("takes {expected}"), mistakes),
        };
        let is_text = matches!(scalar(value), Some(Scalar::Text(_)));
        match words.iter().find(|word| is_text && **word == written) {
            Some(word) => Some(Located::new(*word, stream(value))),
            None => {
                let hint = suggest::near(&written, words.iter().copied())
                    .map_or_else(String::new, |near| format!("; did you mean `\"{near}\"`?"));
                self.wrong(value, &format!("takes {expected}{hint}"), mistakes)
            }
        }
    }

    /// The name of a function of the module.
    pub(crate) fn function(&self, mistakes: &mut Mistakes) -> Option<Ident> {
        let value = self.value("the name of a function of this module", mistakes)?;
        match value {
            [TokenTree::Ident(ident)] if !is_boolean(ident) => Some(ident.clone()),
            _ => match scalar(value) {
                Some(Scalar::Text(text)) => self.wrong(
                    value,
                    &format!("takes the name of a function of this module, without quotes: `{} = {text}`", self.name),
                    mistakes,
                ),
                _ => self.wrong(value, "takes the name of a function of this module, without a path", mistakes),
            },
        }
    }

    /// The items of `= […]`.
    pub(crate) fn items(&self, example: &str, mistakes: &mut Mistakes) -> Option<Vec<Vec<TokenTree>>> {
        let expected = format!("a list, such as `{} = [{example}]`", self.name);
        let value = self.value(&expected, mistakes)?;
        match value {
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Bracket => Some(split(group.stream())),
            _ => self.wrong(value, &format!("takes {expected}"), mistakes),
        }
    }

    /// The tokens after `=`; `expected` completes the message when there are none.
    pub(crate) fn value(&self, expected: &str, mistakes: &mut Mistakes) -> Option<&[TokenTree]> {
        match &self.given {
            Given::Equals(value) => Some(value),
            Given::Nothing => {
                mistakes.push(&self.name, format!("`{}` needs a value: it takes {expected}", self.name));
                None
            }
            Given::List(group) => {
                mistakes.push(
                    TokenTree::from(group.clone()),
                    format!("`{}` is written with `=`: it takes {expected}", self.name),
                );
                None
            }
        }
    }

    fn wrong<T>(&self, value: &[TokenTree], message: &str, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.push(stream(value), format!("`{}` {message}", self.name));
        None
    }
}

/// The arguments of an attribute. Anything else is reported and passed to `rest`, so that the caller can guess
/// what was meant.
pub(crate) fn arguments(
    tokens: TokenStream,
    example: &str,
    mistakes: &mut Mistakes,
    rest: &mut dyn FnMut(&[TokenTree]),
) -> Vec<Argument> {
    let mut found = Vec::new();
    for segment in split(tokens) {
        match segment.as_slice() {
            [TokenTree::Ident(name)] => found.push(Argument { name: name.clone(), given: Given::Nothing }),
            [TokenTree::Ident(name), TokenTree::Punct(equals)] if equals.as_char() == '=' => {
                mistakes.push(stream(&segment), format!("`{name}` needs a value after `=`"));
            }
            [TokenTree::Ident(name), TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' => {
                found.push(Argument { name: name.clone(), given: Given::Equals(value.to_vec()) });
            }
            [TokenTree::Ident(name), TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => {
                found.push(Argument { name: name.clone(), given: Given::List(group.clone()) });
            }
            [] => mistakes.push(TokenStream::new(), "nothing stands between two commas"),
            _ => {
                mistakes.push(stream(&segment), format!("expected `name = value`, such as `{example}`"));
                rest(&segment);
            }
        }
    }
    found
}

/// The parts between top-level commas, groups without delimiters dissolved. A comma at the end adds no part; an empty
/// part elsewhere stays, for the caller to check.
pub(crate) fn split(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for tree in flatten(tokens) {
        match &tree {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(Vec::new()),
            _ => {
                if let Some(last) = parts.last_mut() {
                    last.push(tree);
                }
            }
        }
    }
    if parts.last().is_some_and(Vec::is_empty) {
        parts.pop();
    }
    parts
}

/// The literal or word that a value consists of.
pub(crate) fn scalar(value: &[TokenTree]) -> Option<Scalar> {
    match value {
        [TokenTree::Ident(ident)] if ident == "true" => Some(Scalar::Bool(true)),
        [TokenTree::Ident(ident)] if ident == "false" => Some(Scalar::Bool(false)),
        [TokenTree::Ident(ident)] => Some(Scalar::Word(ident.to_string())),
        [TokenTree::Literal(literal)] => match Lit::new(literal.clone()) {
            Lit::Str(text) => Some(Scalar::Text(text.value())),
            Lit::Int(number) => number.base10_parse().ok().map(Scalar::Integer),
            Lit::Float(number) => number.base10_parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Float),
            _ => None,
        },
        [TokenTree::Punct(minus), number @ TokenTree::Literal(_)] if minus.as_char() == '-' => {
            match scalar(std::slice::from_ref(number))? {
                Scalar::Integer(number) => Some(Scalar::Integer(-number)),
                Scalar::Float(number) => Some(Scalar::Float(-number)),
                Scalar::Text(_) | Scalar::Bool(_) | Scalar::Word(_) => None,
            }
        }
        _ => None,
    }
}

/// All strings anywhere in the tokens.
pub(crate) fn strings(value: &[TokenTree], found: &mut Vec<String>) {
    for tree in value {
        match tree {
            TokenTree::Group(group) => strings(&flatten(group.stream()), found),
            TokenTree::Literal(_) => {
                if let Some(Scalar::Text(text)) = scalar(std::slice::from_ref(tree)) {
                    found.push(text);
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

pub(crate) fn stream(value: &[TokenTree]) -> TokenStream {
    value.iter().cloned().collect()
}

/// `1000000` as `1,000,000`.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Dissolves the groups without delimiters that the variables of a `macro_rules!` macro leave behind.
fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    for tree in tokens {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => flat.extend(flatten(group.stream())),
            tree => flat.push(tree),
        }
    }
    flat
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
}

fn is_boolean(ident: &Ident) -> bool {
    ident == "true" || ident == "false"
}

#[cfg(test)]
mod tests {
    use super::{Scalar, grouped, scalar, split};

    #[test]
    fn scalars_are_literals_and_words() {
        for (source, expected) in [
            ("\"a\\n\"", Some(Scalar::Text("a\n".to_owned()))),
            ("r\"a\"", Some(Scalar::Text("a".to_owned()))),
            ("1_000u64", Some(Scalar::Integer(1000))),
            ("-7", Some(Scalar::Integer(-7))),
            ("0x10", Some(Scalar::Integer(16))),
            ("-1.5", Some(Scalar::Float(-1.5))),
            ("true", Some(Scalar::Bool(true))),
            ("word", Some(Scalar::Word("word".to_owned()))),
            ("1 + 1", None),
            ("b\"a\"", None),
            ("-\"a\"", None),
            ("a::b", None),
        ] {
            let tokens: Vec<_> = source.parse::<proc_macro2::TokenStream>().unwrap().into_iter().collect();
            assert_eq!(scalar(&tokens), expected, "{source}");
        }
    }

    #[test]
    fn splitting_keeps_empty_parts_but_not_the_last() {
        let lengths = |source: &str| split(source.parse().unwrap()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(""), Vec::<usize>::new());
        assert_eq!(lengths("a = (1, 2), b,"), [3, 1]);
        assert_eq!(lengths("a,,b"), [1, 0, 1]);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(-100), "-100");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(9_007_199_254_740_991), "9,007,199,254,740,991");
    }
}
