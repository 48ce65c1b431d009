//! The table of log lines: what attempts wrote, in the order in which they wrote it.
//!
//! - Lines of one attempt never change places: their ids grow in the order in which they were handed over.
//! - Nobody is told that a line is durable, and a crash may take the last of them away.
//! - Rows are written in batches by the writer (`log_batch`) and removed by retention and deletion alone.

use cloacina_workflow::{Level, Timestamp};
use diesel::{
    QueryResult, RunQueryDsl, SqliteConnection,
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Binary, Integer, Text},
    sqlite::Sqlite,
};

use super::{
    Connection, Error, JobResult,
    postgres::PgConnection,
    row::{micros, run_id, timestamp},
    statement::Statement,
};
use crate::id::RunId;

/// One line of an attempt's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRow {
    pub(crate) run: RunId,
    /// The number of the task in its run.
    pub(crate) task: i32,
    pub(crate) attempt: i32,
    pub(crate) at: Timestamp,
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) message: String,
    /// A JSON object as text, or empty.
    pub(crate) fields: String,
    /// How many lines are missing here; 0 for a line that somebody wrote.
    pub(crate) n_dropped: i64,
}

/// Which lines are looked for; an absent part excludes none.
#[derive(Clone, Debug)]
pub(crate) struct LogSearch {
    pub(crate) run: RunId,
    pub(crate) task: Option<i32>,
    pub(crate) attempt: Option<i32>,
    /// Only lines that are at least as important.
    pub(crate) level: Option<Level>,
    pub(crate) since: Option<Timestamp>,
    /// Only lines after the one with that id.
    pub(crate) after: i64,
    /// The last ones and not the first ones.
    pub(crate) from_end: bool,
    pub(crate) n_max: i64,
}

impl LogRow {
    /// About how many bytes it takes.
    pub(crate) fn n_bytes(&self) -> usize {
        size_of::<Self>() + self.target.len() + self.message.len() + self.fields.len()
    }
}

type Columns = (i64, Vec<u8>, i32, i32, i64, i32, String, String, String, i64);

type Types = (BigInt, Binary, Integer, Integer, BigInt, Integer, Text, Text, Text, BigInt);

/// The lines that fit with their ids, in order.
pub(crate) fn log_list(connection: &mut Connection, search: &LogSearch) -> JobResult<Vec<(i64, LogRow)>> {
    let statement = statement(matches!(connection, Connection::Sqlite(_)), search);
    let mut rows: Vec<Columns> = match connection {
        Connection::Sqlite(connection) => statement.rows::<Types>().load(connection)?,
        Connection::Postgres(connection) => statement.rows::<Types>().load(connection)?,
    };
    if search.from_end {
        rows.reverse();
    }
    Ok(rows.into_iter().map(from_columns).collect::<Result<_, _>>()?)
}

/// What is asked of the database: the lines of one run by the index `log_run`, which has them in order. A server is asked in
/// words that leave its planner no other index: by the primary key it would look for the run's lines in all lines.
pub(super) fn statement(is_file: bool, search: &LogSearch) -> Statement {
    let LogSearch { run, task, attempt, level, since, after, from_end, n_max } = search;
    let mut statement = Statement::default();
    statement.text(
        "SELECT log.id, log.run, log.task, log.attempt, log.at, log.level, log.target, log.message, log.fields, \
         log.n_dropped FROM log WHERE ",
    );
    if is_file {
        statement.text("log.run = ").bytes(run.as_bytes()).text(" AND log.id > ").number(*after);
    } else {
        statement.text("(log.run, log.id) > (").bytes(run.as_bytes()).text(", ").number(*after);
        statement.text(") AND (log.run, log.id) <= (").bytes(run.as_bytes()).text(", ").number(i64::MAX).text(")");
    }
    for (column, value) in [("task", task), ("attempt", attempt)] {
        if let Some(value) = value {
            statement.text(&format!(" AND log.{column} = ")).number((*value).into());
        }
    }
    if let Some(level) = level {
        statement.text(" AND log.level <= ").number(number(*level).into());
    }
    if let Some(since) = since {
        statement.text(" AND log.at >= ").number(micros(*since));
    }
    let order = if *from_end { " DESC" } else { "" };
    statement.text(&format!(" ORDER BY log.run{order}, log.id{order} LIMIT ")).n_rows(*n_max);
    statement
}

/// Writes lines in their order. Must be called in a transaction of the writer.
pub(super) fn log_insert_in_txn(connection: &mut Connection, rows: &[LogRow]) -> QueryResult<()> {
    match connection {
        Connection::Sqlite(connection) => {
            for row in rows {
                InsertLine { row, at: micros(row.at), level: number(row.level) }.execute(connection)?;
            }
        }
        Connection::Postgres(connection) => {
            InsertLines {
                runs: rows.iter().map(|row| row.run.as_bytes().to_vec()).collect(),
                tasks: rows.iter().map(|row| row.task).collect(),
                attempts: rows.iter().map(|row| row.attempt).collect(),
                at: rows.iter().map(|row| micros(row.at)).collect(),
                levels: rows.iter().map(|row| number(row.level)).collect(),
                targets: rows.iter().map(|row| row.target.as_str()).collect(),
                messages: rows.iter().map(|row| row.message.as_str()).collect(),
                fields: rows.iter().map(|row| row.fields.as_str()).collect(),
                n_dropped: rows.iter().map(|row| row.n_dropped).collect(),
            }
            .execute(connection)?;
        }
    }
    Ok(())
}

fn number(level: Level) -> i32 {
    i32::try_from(level.number()).unwrap_or(i32::MAX)
}

fn from_columns(columns: Columns) -> Result<(i64, LogRow), Error> {
    let (id, run, task, attempt, at, level, target, message, fields, n_dropped) = columns;
    let level = Level::from_number(u32::try_from(level).unwrap_or(0));
    let row =
        LogRow { run: run_id(&run)?, task, attempt, at: timestamp(at), level, target, message, fields, n_dropped };
    Ok((id, row))
}

struct InsertLine<'a> {
    row: &'a LogRow,
    at: i64,
    level: i32,
}

struct InsertLines<'a> {
    runs: Vec<Vec<u8>>,
    tasks: Vec<i32>,
    attempts: Vec<i32>,
    at: Vec<i64>,
    levels: Vec<i32>,
    targets: Vec<&'a str>,
    messages: Vec<&'a str>,
    fields: Vec<&'a str>,
    n_dropped: Vec<i64>,
}

/// The statement that writes lines to a server, without lines.
#[cfg(test)]
pub(super) fn insertion_of_nothing() -> impl QueryFragment<Pg> {
    InsertLines {
        runs: Vec::new(),
        tasks: Vec::new(),
        attempts: Vec::new(),
        at: Vec::new(),
        levels: Vec::new(),
        targets: Vec::new(),
        messages: Vec::new(),
        fields: Vec::new(),
        n_dropped: Vec::new(),
    }
}

impl QueryId for InsertLine<'_> {
    type QueryId = InsertLine<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<SqliteConnection> for InsertLine<'_> {}

impl QueryId for InsertLines<'_> {
    type QueryId = InsertLines<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for InsertLines<'_> {}

impl QueryFragment<Sqlite> for InsertLine<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT INTO log (run, task, attempt, at, level, target, message, fields, n_dropped) VALUES (");
        out.push_bind_param::<Binary, [u8]>(self.row.run.as_bytes())?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, i32>(&self.row.task)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, i32>(&self.row.attempt)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Integer, i32>(&self.level)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(&self.row.target)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(&self.row.message)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, str>(&self.row.fields)?;
        out.push_sql(", ");
        out.push_bind_param::<BigInt, i64>(&self.row.n_dropped)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for InsertLines<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO log (run, task, attempt, at, level, target, message, fields, n_dropped) \
             SELECT run, task, attempt, at, level, target, message, fields, n_dropped FROM unnest(",
        );
        out.push_bind_param::<Array<Binary>, Vec<Vec<u8>>>(&self.runs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, Vec<i32>>(&self.tasks)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, Vec<i32>>(&self.attempts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, Vec<i64>>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, Vec<i32>>(&self.levels)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, Vec<&str>>(&self.targets)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, Vec<&str>>(&self.messages)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, Vec<&str>>(&self.fields)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, Vec<i64>>(&self.n_dropped)?;
        // The ids are given in the order of the rows that come out here.
        out.push_sql(
            ") WITH ORDINALITY AS line (run, task, attempt, at, level, target, message, fields, n_dropped, place) \
             ORDER BY place",
        );
        Ok(())
    }
}
