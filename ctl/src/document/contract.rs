//! What a type promises that a command prints as JSON.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A whole JSON document. Every type that is one has a page in `docs/reference/json`; `document::tests` lists them.
pub(crate) trait Document: Serialize + ToSchema {}

/// One value of a context, which is the user's own.
impl Document for Value {}
