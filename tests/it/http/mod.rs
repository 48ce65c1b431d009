//! The HTTP interface as a stranger uses it: a server in a process of its own, asked by curl.

mod access;
mod adapters;
mod client;
mod dev;
mod guide;
mod life;
mod limit;
mod raw;
mod refused;
mod stop;
mod tenant;
mod tls;
