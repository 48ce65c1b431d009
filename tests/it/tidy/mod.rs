//! The rules of the repository, checked.
//!
//! Each check is one test over the files that git knows (`repository`), over the Rust sources read line by line
//! (`source`), or over what cargo knows (`workspace`). It reports everything it finds at once: place, rule of
//! `docs/style.md`, remedy. Exceptions stand in `allowed`, each with its reason; one that is no longer needed fails.
//! Beside each check stands a test that feeds it what it must find.
//!
//! `rule` lists which rules are checked here, which ones by a lint, and which only by readers. The ones that a machine
//! cannot check yet:
//!
//! - how decisions, state machines, owners of state and queues are designed (S3 to S8, C2, C3, C7);
//! - what names, signatures, types and comments mean (S12, S15, S16, N1, N3, N4, V2 to V6, D2, D4, D5, P4);
//! - the shape of errors (E1, E2, E4, E6 to E8, E10, E11), which the tests of each crate show;
//! - which tests are missing (T1 to T5, T7 to T12, T15);
//! - how macros expand (M1 to M3, M5), and what crosses the boundary (U3 to U5, U7 to U9);
//! - HTTP, which is not there yet (H1, H2), and what commands write (H4);
//! - whether a sentence is clear (W1 to W5, W7);
//! - changes rather than what is there (B2 to B4, B7, B8).

mod allowed;
mod finding;
mod repository;
mod rule;
mod source;
mod workspace;

mod dependency;
mod english;
mod error_code;
mod file;
mod habit;
mod link;
mod manifest;
mod migration;
mod module;
mod purity;
mod word;
