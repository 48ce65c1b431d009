//! Schemas of fields whose Rust type says less than their JSON: moments, and the names of states.

use cloacina::{PackageState, RunState, TaskState};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A moment: RFC 3339, in UTC, to the microsecond.
#[derive(Debug)]
pub(crate) struct Moment;

/// The name of a run's state.
#[derive(Debug)]
pub(crate) struct RunStateName;

/// The name of a task's state.
#[derive(Debug)]
pub(crate) struct TaskStateName;

/// The name of the state of a package's version.
#[derive(Debug)]
pub(crate) struct PackageStateName;

/// The name of the state of a workflow.
#[derive(Debug)]
pub(crate) struct WorkflowStateName;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        let moment = ObjectBuilder::new().schema_type(Type::String);
        moment.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build().into()
    }
}

impl PartialSchema for RunStateName {
    fn schema() -> RefOr<Schema> {
        one_of(RunState::ALL.map(RunState::as_str))
    }
}

impl PartialSchema for TaskStateName {
    fn schema() -> RefOr<Schema> {
        one_of(TaskState::ALL.map(TaskState::as_str))
    }
}

impl PartialSchema for PackageStateName {
    fn schema() -> RefOr<Schema> {
        one_of(PackageState::ALL.map(PackageState::as_str))
    }
}

impl PartialSchema for WorkflowStateName {
    fn schema() -> RefOr<Schema> {
        one_of(PackageState::ALL.map(PackageState::as_str).into_iter().chain(["removed", "compiled_in"]))
    }
}

impl ToSchema for Moment {}
impl ToSchema for RunStateName {}
impl ToSchema for TaskStateName {}
impl ToSchema for PackageStateName {}
impl ToSchema for WorkflowStateName {}

fn one_of(names: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build().into()
}
