//! Workflows as data: what a TOML or JSON text says becomes a description like that of a package.
//!
//! ```text
//! text ── read ──> Definition ── pin ──> Pinned: canonical bytes, digest, description
//! ```
//! A definition has tasks that name a function of a package or a built-in. Pinning replaces what may change later by what
//! it is now: the version of each package, and the declarations that a task takes over from its function. The description
//! then passes the same check as that of a package. Nothing here knows which packages there are, or runs a task.

mod built_in;
mod pin;
mod read;
mod schema;
mod uses;

#[cfg(test)]
mod tests;

pub use self::built_in::BuiltIn;
pub use self::pin::{FILE, Found, Pinned, TaskWork};
pub use self::schema::{DEFINITION_BYTES_MAX, Definition, TaskDefinition};
pub use self::uses::{FunctionName, Uses};
