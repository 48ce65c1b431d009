//! Values on their way: bytes that diesel made for the server, and bytes of the server that diesel reads.
//!
//! Both are in the binary format of the protocol, and nothing here looks into them. Diesel has checked the types of a
//! statement and of its result while the program was compiled.

use std::{error::Error, num::NonZeroU32};

use diesel::{
    backend::Backend,
    pg::{Pg, PgValue, TypeOidLookup},
    row::{Field, PartialRow, Row, RowIndex, RowSealed},
};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// A value for the server in its binary format.
#[derive(Debug)]
pub(super) struct Bound(pub(super) Option<Vec<u8>>);

/// A value of the server in its binary format.
struct Raw<'a>(&'a [u8]);

/// A row of a result.
pub(crate) struct PgRow(pub(super) tokio_postgres::Row);

/// A column of a row.
pub(crate) struct PgField<'a> {
    row: &'a tokio_postgres::Row,
    column: usize,
}

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    // Diesel has checked the types while compiling.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl RowSealed for PgRow {}

impl<'a> Row<'a, Pg> for PgRow {
    type Field<'f>
        = PgField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.0.len()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        self.idx(index).map(|column| PgField { row: &self.0, column })
    }

    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self::InnerPartialRow> {
        PartialRow::new(self, range)
    }
}

impl RowIndex<usize> for PgRow {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.0.len()).then_some(index)
    }
}

impl<'a> RowIndex<&'a str> for PgRow {
    fn idx(&self, name: &'a str) -> Option<usize> {
        self.0.columns().iter().position(|column| column.name() == name)
    }
}

impl<'a> Field<'a, Pg> for PgField<'a> {
    fn field_name(&self) -> Option<&str> {
        self.row.columns().get(self.column).map(tokio_postgres::Column::name)
    }

    fn value(&self) -> Option<<Pg as Backend>::RawValue<'_>> {
        // Bytes fit `Raw` whatever they are, and the column is one of the row's.
        let Raw(bytes) = self.row.try_get::<_, Option<Raw<'_>>>(self.column).ok().flatten()?;
        Some(PgValue::new(bytes, self))
    }
}

impl TypeOidLookup for PgField<'_> {
    fn lookup(&self) -> NonZeroU32 {
        let oid = self.row.columns().get(self.column).map_or(0, |column| column.type_().oid());
        NonZeroU32::new(oid).unwrap_or(UNKNOWN)
    }
}

/// The type `unknown`, as no type has the number 0.
const UNKNOWN: NonZeroU32 = NonZeroU32::new(705).unwrap();
