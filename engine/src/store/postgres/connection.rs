//! One connection to a server, as diesel wants one.
//!
//! Each statement is prepared once and found again by its query's type, or by its text and the types of its values.

use std::{any::TypeId, borrow::Cow, collections::HashMap, fmt, future::poll_fn};

use diesel::{
    QueryResult, RunQueryDsl,
    connection::{
        AnsiTransactionManager, CacheSize, Connection, ConnectionSealed, Instrumentation, InstrumentationEvent,
        LoadConnection, MultiConnectionHelper, SimpleConnection, TransactionManager, TransactionManagerStatus,
    },
    expression::QueryMetadata,
    migration::{CREATE_MIGRATIONS_TABLE, MigrationConnection},
    pg::{GetPgMetadataCache, Pg, PgMetadataCache, PgMetadataLookup, PgQueryBuilder},
    query_builder::{Query, QueryBuilder, QueryFragment, QueryId, bind_collector::RawBytesBindCollector},
    result::{ConnectionError, ConnectionResult, Error as DieselError},
    sql_types::TypeMetadata,
};
use futures_core::Stream;
use futures_util::future::{join_all, join3};
use tokio_postgres::{Config, Statement, types::Type};

use super::{
    super::error::NotOpened,
    failure,
    link::Link,
    row::{Bound, PgRow},
};

/// A connection to a PostgreSQL server.
pub(crate) struct PgConnection {
    link: Link,
    /// What the server has prepared for this connection.
    statements: HashMap<Key, Statement>,
    transactions: AnsiTransactionManager,
    types: PgMetadataCache,
    observer: Box<dyn Instrumentation>,
    /// Whether the server makes a plan for the values of a statement each time, and not once for all values.
    plans_anew: bool,
}

/// By what a statement is found again.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// The type of the query says all of it.
    Query(TypeId),
    Text(String, Vec<Type>),
}

/// What a statement gave.
struct Answer {
    rows: Vec<tokio_postgres::Row>,
    n_affected: u64,
}

/// Statements of one transaction that travel together.
#[derive(Default)]
pub(crate) struct Flight {
    statements: Vec<(Statement, Vec<Bound>)>,
}

/// What became of a transaction that traveled as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landing {
    Committed,
    /// A check of one of its statements did not hold, or a row was there already. Nothing was written.
    Refused,
}

/// Nobody looks on.
struct Unobserved;

impl PgConnection {
    /// Opens a connection to the server of that address.
    pub(crate) fn open(config: &Config) -> Result<Self, NotOpened> {
        Ok(Self {
            link: Link::open(config)?,
            statements: HashMap::new(),
            transactions: AnsiTransactionManager::default(),
            types: PgMetadataCache::new(),
            observer: Box::new(Unobserved),
            plans_anew: false,
        })
    }

    /// Does it while the server makes a plan for the values of each statement that gives rows, and keeps no statement.
    /// Outside of this, and where a transaction is under way, a statement has one plan for all values.
    pub(crate) fn planned_anew<T>(&mut self, asked: impl FnOnce(&mut Self) -> T) -> T {
        let is_free =
            matches!(AnsiTransactionManager::transaction_manager_status_mut(self).transaction_depth(), Ok(None));
        let before = std::mem::replace(&mut self.plans_anew, is_free);
        let answer = asked(self);
        self.plans_anew = before;
        answer
    }

    /// Whether a statement of the present transaction failed, so that the server would roll it back when it is asked to
    /// commit it.
    pub(crate) fn is_aborted(&mut self) -> bool {
        match AnsiTransactionManager::transaction_manager_status_mut(self) {
            TransactionManagerStatus::Valid(status) => {
                let transaction = status.in_transaction.as_ref();
                transaction.is_some_and(|transaction| transaction.requires_rollback_maybe_up_to_top_level)
            }
            TransactionManagerStatus::InError => true,
        }
    }

    /// Adds a statement, whose rows nobody wants, to those that travel together.
    pub(crate) fn pack<T>(&mut self, flight: &mut Flight, source: &T) -> QueryResult<()>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let (types, values) = self.bound(source)?;
        let statement = self.prepare(source, types).map_err(|error| self.failed(error))?;
        flight.statements.push((statement, values));
        Ok(())
    }

    /// Sends the beginning of a transaction, its statements and COMMIT without waiting for an answer in between. After a
    /// statement that failed the server refuses the others and answers COMMIT by rolling back. Without its beginning nothing
    /// of a transaction may be written: each statement must see to that.
    pub(crate) fn fly(&mut self, begin: &str, flight: Flight) -> QueryResult<Landing> {
        let client = self.link.client();
        let statements = flight.statements.into_iter().map(|(statement, values)| async move {
            let mut rows = std::pin::pin!(client.query_raw(&statement, values).await?);
            while let Some(row) = poll_fn(|context| Stream::poll_next(rows.as_mut(), context)).await {
                row?;
            }
            Ok(())
        });
        // They are sent in this order, as each sends when it is asked for the first time.
        let flown = self.link.wait(async {
            let (begun, asked, committed) =
                join3(client.batch_execute(begin), join_all(statements), client.batch_execute("COMMIT")).await;
            let asked: Result<(), tokio_postgres::Error> = asked.into_iter().collect();
            begun.and(asked).and(committed)
        });
        match flown {
            Ok(()) => Ok(Landing::Committed),
            Err(error) if failure::is_refusal(&error) => Ok(Landing::Refused),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// The types and the values that a statement comes with.
    fn bound<T: QueryFragment<Pg>>(&mut self, source: &T) -> QueryResult<(Vec<Type>, Vec<Bound>)> {
        let mut collected = RawBytesBindCollector::<Pg>::new();
        source.collect_binds(&mut collected, self, &Pg)?;
        let types = collected.metadata.iter().map(type_of).collect::<QueryResult<Vec<Type>>>()?;
        Ok((types, collected.binds.into_iter().map(Bound).collect()))
    }

    /// Sends a statement and waits for all that it gives.
    fn ask<T>(&mut self, source: &T) -> QueryResult<Answer>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let (types, values) = self.bound(source)?;
        let values = values.into_iter();
        let answer = if !self.plans_anew && source.is_safe_to_cache_prepared(&Pg)? {
            self.prepare(source, types).and_then(|statement| self.ask_prepared(&statement, values))
        } else {
            self.ask_once(&text_of(source)?, values.zip(types))
        };
        answer.map_err(|error| self.failed(error))
    }

    fn prepare<T>(&mut self, source: &T, types: Vec<Type>) -> Result<Statement, Failure>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let key = match T::query_id() {
            Some(id) => Key::Query(id),
            None => Key::Text(text_of(source)?, types.clone()),
        };
        if let Some(statement) = self.statements.get(&key) {
            return Ok(statement.clone());
        }
        let text = match &key {
            Key::Query(_) => Cow::Owned(text_of(source)?),
            Key::Text(text, _) => Cow::Borrowed(text),
        };
        let statement = self.link.wait(self.link.client().prepare_typed(&text, &types))?;
        self.statements.insert(key, statement.clone());
        Ok(statement)
    }

    fn ask_prepared(
        &self,
        statement: &Statement,
        values: impl ExactSizeIterator<Item = Bound> + Send,
    ) -> Result<Answer, Failure> {
        let client = self.link.client();
        Ok(self.link.wait(async { gather(client.query_raw(statement, values).await?).await })?)
    }

    /// Prepares nothing, for what may never come again.
    fn ask_once(
        &self,
        text: &str,
        values: impl ExactSizeIterator<Item = (Bound, Type)> + Send,
    ) -> Result<Answer, Failure> {
        let client = self.link.client();
        let asked = async { gather(client.query_typed_raw(text, values).await?).await };
        if !self.plans_anew {
            return Ok(self.link.wait(asked)?);
        }
        // The setting is of a transaction, which travels as a whole.
        let (begun, answer, committed) = self.link.wait(join3(
            client.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan"),
            asked,
            client.batch_execute("COMMIT"),
        ));
        let answer = answer?;
        begun.and(committed)?;
        Ok(answer)
    }

    /// Notes what a failure means for the transaction, and tells diesel of it.
    fn failed(&mut self, failure: Failure) -> DieselError {
        let error = match failure {
            Failure::Diesel(error) => return error,
            Failure::Server(error) => error,
        };
        let status = AnsiTransactionManager::transaction_manager_status_mut(self);
        if failure::is_lost(&error) {
            status.set_in_error();
        } else {
            status.set_requires_rollback_maybe_up_to_top_level(true);
        }
        failure::failed(&error)
    }
}

/// Why a statement has no answer.
enum Failure {
    Diesel(DieselError),
    Server(tokio_postgres::Error),
}

impl From<DieselError> for Failure {
    fn from(error: DieselError) -> Self {
        Self::Diesel(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

async fn gather(stream: tokio_postgres::RowStream) -> Result<Answer, tokio_postgres::Error> {
    let mut stream = std::pin::pin!(stream);
    let mut rows = Vec::new();
    while let Some(row) = poll_fn(|context| Stream::poll_next(stream.as_mut(), context)).await {
        rows.push(row?);
    }
    let n_affected = stream.rows_affected().unwrap_or_default();
    Ok(Answer { rows, n_affected })
}

fn text_of<T: QueryFragment<Pg>>(source: &T) -> QueryResult<String> {
    let mut builder = PgQueryBuilder::default();
    source.to_sql(&mut builder, &Pg)?;
    Ok(builder.finish())
}

/// The store binds types that every server knows, and no others.
fn type_of(metadata: &diesel::pg::PgTypeMetadata) -> QueryResult<Type> {
    let oid = metadata.oid().map_err(|error| DieselError::SerializationError(Box::new(error)))?;
    Type::from_oid(oid).ok_or_else(|| DieselError::SerializationError(format!("no type has the number {oid}").into()))
}

impl ConnectionSealed for PgConnection {}

impl SimpleConnection for PgConnection {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        let executed = self.link.wait(self.link.client().batch_execute(query));
        executed.map_err(|error| self.failed(error.into()))?;
        // If the transaction is still aborted, the next statement fails again.
        let status = AnsiTransactionManager::transaction_manager_status_mut(self);
        status.set_requires_rollback_maybe_up_to_top_level(false);
        Ok(())
    }
}

impl Connection for PgConnection {
    type Backend = Pg;
    type TransactionManager = AnsiTransactionManager;

    fn establish(url: &str) -> ConnectionResult<Self> {
        let config: Config = url
            .parse()
            .map_err(|error: tokio_postgres::Error| ConnectionError::InvalidConnectionUrl(failure::words(&error)))?;
        Self::open(&config).map_err(|error| ConnectionError::BadConnection(error.to_string()))
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let Answer { n_affected, .. } = self.ask(source)?;
        usize::try_from(n_affected).map_err(|error| DieselError::DeserializationError(Box::new(error)))
    }

    fn transaction_state(&mut self) -> &mut AnsiTransactionManager {
        &mut self.transactions
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        &mut *self.observer
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.observer = Box::new(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, _: CacheSize) {}
}

impl LoadConnection for PgConnection {
    type Cursor<'conn, 'query> =
        std::iter::Map<std::vec::IntoIter<tokio_postgres::Row>, fn(tokio_postgres::Row) -> QueryResult<PgRow>>;
    type Row<'conn, 'query> = PgRow;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        let Answer { rows, .. } = self.ask(&source)?;
        let read: fn(tokio_postgres::Row) -> QueryResult<PgRow> = |row| Ok(PgRow(row));
        Ok(rows.into_iter().map(read))
    }
}

impl MigrationConnection for PgConnection {
    fn setup(&mut self) -> QueryResult<usize> {
        diesel::sql_query(CREATE_MIGRATIONS_TABLE).execute(self)
    }
}

impl GetPgMetadataCache for PgConnection {
    fn get_metadata_cache(&mut self) -> &mut PgMetadataCache {
        &mut self.types
    }
}

impl MultiConnectionHelper for PgConnection {
    fn to_any<'a>(lookup: &mut <Pg as TypeMetadata>::MetadataLookup) -> &mut (dyn std::any::Any + 'a) {
        lookup.as_any()
    }

    fn from_any(lookup: &mut dyn std::any::Any) -> Option<&mut <Pg as TypeMetadata>::MetadataLookup> {
        lookup.downcast_mut::<Self>().map(|connection| connection as &mut dyn PgMetadataLookup)
    }
}

impl Instrumentation for Unobserved {
    fn on_connection_event(&mut self, _: InstrumentationEvent<'_>) {}
}

impl fmt::Debug for PgConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PgConnection").finish_non_exhaustive()
    }
}
