//! A client of the HTTP interface of Cloacina.
//!
//! ```text
//! Client ── body (JSON, or an archive read while it is sent) ──> hyper ──> server
//!        <── JSON, a page of a list, or a problem (error) ──────────────────┘
//!        <── follow: the items of a live stream, over as many connections as it takes
//! ```
//! Answers are the types that the engine returns to programs that embed it, so that a field is declared once, and a program
//! that shows a run does not know where the run came from. A refusal is an [`Error::Refused`] with the code, the hints and
//! the class of the error on the server.
//!
//! ```no_run
//! # async fn example() -> Result<(), cloacina_client::Error> {
//! use cloacina_client::{Client, Item, NewRun, Options};
//!
//! let client = Client::new("http://127.0.0.1:8080", Options::default())?;
//! let run = client.submit(&NewRun::new("greeting")).await?;
//! let mut follower = client.follow(run);
//! while let Some(item) = follower.next().await? {
//!     if let Item::Event(event) = item {
//!         println!("{}", event.kind);
//!     }
//! }
//! println!("{}", client.run(run).await?.state);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod access;
mod address;
mod answer;
mod auth;
mod body;
mod client;
mod connector;
mod error;
mod follow;
mod health;
mod package;
mod page;
mod query;
mod run;
mod run_control;
mod run_parts;
mod run_request;
#[cfg(test)]
mod tests;
mod workflow;

pub use self::{
    access::{IssuedKey, NewApiKey, NewUser},
    auth::{Session, Tokens, Whoami},
    client::{Client, Credential, Options},
    error::{Error, Problem},
    follow::{Follower, Item},
    health::{Check, Health},
    package::NewPackage,
    page::Page,
    run::RunQuery,
    run_control::{Again, BulkDone, BulkFilter, BulkOutcome, BulkVerb, Verb},
    run_request::{NewRun, Outcome},
    workflow::NewWorkflow,
};
