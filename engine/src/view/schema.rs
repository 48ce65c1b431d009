//! Schemas of fields whose Rust type says less than their JSON.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type},
    },
};

/// The schema of a moment: RFC 3339, in UTC, to the microsecond.
#[derive(Debug)]
pub struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let moment = ObjectBuilder::new().schema_type(Type::String);
        moment.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build().into()
    }
}

impl ToSchema for Moment {}

pub(super) fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build().into()
}

/// The schema of the fields of [`Skipped`](super::Skipped) in a task, of which a task that was not skipped has none. The one that
/// is derived of an optional part says instead that such a task is null.
pub(super) struct SkippedFields;

impl PartialSchema for SkippedFields {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let reason = text()
            .enum_values(Some(["upstream_failed", "upstream_skipped", "rule_not_met"]))
            .description(Some("Why the task was skipped. Absent for a task that was not."));
        let because_of = text().description(Some(
            "With `upstream_failed` and `upstream_skipped`: the dependency because of which the task was skipped.",
        ));
        ObjectBuilder::new().property("skipped", reason).property("skipped_because_of", because_of).build().into()
    }
}

impl ToSchema for SkippedFields {}
