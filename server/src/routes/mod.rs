//! The routes: one file for each resource, and the description of all of them that is made from the handlers.

mod all;
mod audit;
mod auth;
mod error_page;
mod health;
mod key;
mod package;
#[cfg(test)]
mod reference_tests;
mod run;
mod run_control;
mod run_ids;
mod run_parts;
mod tenant;
mod user;
mod workflow;

pub use self::all::openapi;
pub(crate) use self::{
    all::router,
    health::{Health, health},
    run_control::{BulkOutcome, ask_all},
    run_parts::LogsQuery,
};
