//! A statement that is put together while the program runs, of text and values, for both databases.
//!
//! Values are never a part of the text, so a connection prepares a statement of one shape once and finds it again.

use std::marker::PhantomData;

use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{BigInt, Binary, Text},
};

use super::postgres::PgConnection;

/// The text of a statement with its values.
#[derive(Debug, Default)]
pub(crate) struct Statement {
    parts: Vec<Part>,
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    Number(i64),
}

/// A statement whose rows have columns of these types.
pub(crate) struct Rows<'a, Columns> {
    statement: &'a Statement,
    columns: PhantomData<Columns>,
}

impl Statement {
    /// Adds text. Nothing that a user wrote may be in it.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.parts.push(Part::Bytes(bytes.to_vec()));
        self
    }

    pub(super) fn name(&mut self, name: &str) -> &mut Self {
        self.parts.push(Part::Name(name.to_owned()));
        self
    }

    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.parts.push(Part::Number(number));
        self
    }

    /// Adds a number of rows, as behind `LIMIT` and `OFFSET`.
    ///
    /// Bare, SQLite would prepare the statement anew whenever the number is bound, as a plan may depend on it.
    pub(crate) fn n_rows(&mut self, n_rows: i64) -> &mut Self {
        self.number(n_rows).text(" + 0")
    }

    /// Adds something for each item, with a text between two of them.
    pub(super) fn each<T>(
        &mut self,
        between: &str,
        items: impl IntoIterator<Item = T>,
        mut add: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.text(between);
            }
            add(self, item);
        }
        self
    }

    /// The same statement, which asks the database how it would go about it.
    #[cfg(test)]
    pub(super) fn explained(mut self, how: &str) -> Self {
        self.parts.insert(0, Part::Text(format!("{how} ")));
        self
    }

    /// For a PostgreSQL server: a statement that prepares this one under a name, and one that asks how the server
    /// would execute it with its values. [`Self::explained`] tells of a plan for these values alone.
    #[cfg(test)]
    pub(super) fn explained_as_prepared(&self, name: &str) -> [String; 2] {
        let (text, values) = self.in_parts(|place| format!("${place}"));
        let values: Vec<(&str, String)> = values
            .into_iter()
            .map(|value| match value {
                Part::Bytes(bytes) => {
                    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                    ("bytea", format!("'\\x{digits}'"))
                }
                Part::Text(text) | Part::Name(text) => ("text", format!("'{}'", text.replace('\'', "''"))),
                Part::Number(number) => ("bigint", number.to_string()),
            })
            .collect();
        let list = |items: Vec<&str>| if items.is_empty() { String::new() } else { format!(" ({})", items.join(", ")) };
        let types = list(values.iter().map(|(kind, _)| *kind).collect());
        let values = list(values.iter().map(|(_, value)| value.as_str()).collect());
        [format!("PREPARE {name}{types} AS {text}"), format!("EXPLAIN EXECUTE {name}{values}")]
    }

    /// The text, with what stands for the value of each place from 1 on, and the values.
    #[cfg(test)]
    pub(super) fn in_parts(&self, place: impl Fn(usize) -> String) -> (String, Vec<&Part>) {
        let (mut text, mut values) = (String::new(), Vec::new());
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                value => {
                    values.push(value);
                    text.push_str(&place(values.len()));
                }
            }
        }
        (text, values)
    }

    /// The statement as a query with such columns.
    pub(crate) fn rows<Columns>(&self) -> Rows<'_, Columns> {
        Rows { statement: self, columns: PhantomData }
    }
}

impl<Columns, DB> QueryFragment<DB> for Rows<'_, Columns>
where
    DB: Backend,
    Vec<u8>: ToSql<Binary, DB>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        for part in &self.statement.parts {
            match part {
                Part::Text(text) => out.push_sql(text),
                Part::Bytes(bytes) => out.push_bind_param::<Binary, Vec<u8>>(bytes)?,
                Part::Name(name) => out.push_bind_param::<Text, String>(name)?,
                Part::Number(number) => out.push_bind_param::<BigInt, i64>(number)?,
            }
        }
        Ok(())
    }
}

impl<Columns> Query for Rows<'_, Columns> {
    type SqlType = Columns;
}

/// The type says nothing of the text, by which a connection finds the statement again.
impl<Columns> QueryId for Rows<'_, Columns> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Columns> RunQueryDsl<SqliteConnection> for Rows<'_, Columns> {}
impl<Columns> RunQueryDsl<PgConnection> for Rows<'_, Columns> {}
