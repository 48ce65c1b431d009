//! The HTTP server of Cloacina: what anyone may ask of an engine, over HTTP.
//!
//! ```text
//! connection ── guard (host, origin, limits, request id) ──> auth (who asks, and whether it may) ──> routes (one file for
//! each resource) ── asker ──> engine, as the caller sees it               └──────── every refusal ────────> problem
//! ```
//! A handler is a thin transport: it reads the request, makes one call of [`cloacina::Engine`] on behalf of a caller, and
//! shows what the call returned. Nothing is decided here, and no handler can forget the tenant, as the extractor of the caller
//! is the only way to an engine.

#![forbid(unsafe_code)]

mod adapters;
mod app;
mod asker;
mod auth;
mod body;
mod connection;
mod cors;
mod guard;
mod listed;
mod live;
mod located;
mod pace;
mod problem;
mod ranged;
mod refused;
mod routes;
mod serve;
mod tls;

pub use self::{
    auth::RequestRates,
    cors::{NotAnOrigin, Origin},
    problem::Problem,
    routes::openapi,
    serve::{Access, Error, Listener, Options, Pages, Server},
    tls::{TlsError, TlsFiles},
};
