//! JSON whose fields stay in the order in which a program wrote them.

use std::fmt::Write as _;

/// A value; texts and numbers are as they were written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads a text that is known to be JSON.
    pub(super) fn parse(text: &str) -> Self {
        let mut rest = text.trim_start();
        Self::take(&mut rest)
    }

    fn take(rest: &mut &str) -> Self {
        match rest.as_bytes()[0] {
            b'{' => Self::Map(Self::items(rest, '}', |rest| {
                let name = scalar(rest);
                skip(rest, ':');
                (name.trim_matches('"').to_owned(), Self::take(rest))
            })),
            b'[' => Self::List(Self::items(rest, ']', Self::take)),
            _ => Self::Scalar(scalar(rest)),
        }
    }

    fn items<T>(rest: &mut &str, end: char, mut take: impl FnMut(&mut &str) -> T) -> Vec<T> {
        *rest = rest[1..].trim_start();
        let mut items = Vec::new();
        while !rest.starts_with(end) {
            items.push(take(rest));
            if rest.starts_with(',') {
                skip(rest, ',');
            }
        }
        skip(rest, end);
        items
    }

    /// The value with two spaces for each level.
    pub(super) fn pretty(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text.push('\n');
        text
    }

    fn write(&self, depth: usize, text: &mut String) {
        let indent = "  ".repeat(depth + 1);
        let end = "  ".repeat(depth);
        match self {
            Self::Scalar(scalar) => text.push_str(scalar),
            Self::List(items) if items.is_empty() => text.push_str("[]"),
            Self::Map(fields) if fields.is_empty() => text.push_str("{}"),
            Self::List(items) => {
                text.push('[');
                for (item, number) in items.iter().zip(0..) {
                    write!(text, "{}\n{indent}", if number > 0 { "," } else { "" }).unwrap();
                    item.write(depth + 1, text);
                }
                write!(text, "\n{end}]").unwrap();
            }
            Self::Map(fields) => {
                text.push('{');
                for ((name, value), number) in fields.iter().zip(0..) {
                    write!(text, "{}\n{indent}\"{name}\": ", if number > 0 { "," } else { "" }).unwrap();
                    value.write(depth + 1, text);
                }
                write!(text, "\n{end}}}").unwrap();
            }
        }
    }
}

/// The text or the number at the front, and what follows it.
fn scalar(rest: &mut &str) -> String {
    let end = match rest.strip_prefix('"') {
        Some(text) => {
            let mut is_escaped = false;
            let end = text.find(|letter| {
                let is_end = letter == '"' && !is_escaped;
                is_escaped = letter == '\\' && !is_escaped;
                is_end
            });
            end.unwrap() + 2
        }
        None => rest.find([',', '}', ']', '\n', ' ']).unwrap_or(rest.len()),
    };
    let (scalar, after) = rest.split_at(end);
    *rest = after.trim_start();
    scalar.to_owned()
}

fn skip(rest: &mut &str, letter: char) {
    *rest = rest.strip_prefix(letter).unwrap().trim_start();
}

#[test]
fn the_order_of_fields_is_kept() {
    const TEXT: &str = r#"{"b":[1,{"x":"a\"}, ["},[],{}],"a":null}"#;
    let pretty = Node::parse(TEXT).pretty();
    assert_eq!(
        pretty,
        "{\n  \"b\": [\n    1,\n    {\n      \"x\": \"a\\\"}, [\"\n    },\n    [],\n    {}\n  ],\n  \"a\": null\n}\n"
    );
    assert_eq!(Node::parse(&pretty), Node::parse(TEXT));
}
