//! The HTTP interface as a stranger uses it: a server in a process of its own, asked by curl and by the client of the project.

mod access;
mod adapters;
mod attack;
mod browser;
mod client;
mod client_tls;
mod command_line;
mod defined;
mod dev;
mod guide;
mod kills;
mod life;
mod limit;
mod python;
mod python_client;
mod raw;
mod refused;
mod rust_client;
mod same_statements;
mod schemathesis;
mod session;
mod stop;
mod subscribers;
mod swagger_ui;
mod tenant;
mod tls;
