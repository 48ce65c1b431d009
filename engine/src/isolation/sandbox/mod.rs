//! What keeps a package in. A package host puts it up around itself, before anything of the package runs.
//!
//! ```text
//! dev:    limits ─► no_new_privs ─► landlock: signals, tracing ─► seccomp: sessions, hiding
//! server: limits ─► no_new_privs ─► landlock: files, network, signals, tracing ─► capabilities ─► seccomp: system calls
//! ```
//! Each step stands by itself: what a system cannot do is named as missing, and the others are in force nonetheless.
//! Nothing here can be taken back by the process, and all of it holds for every thread that it starts later.

mod calls;
mod enter;
mod files;
mod limits;
mod list;
mod privileges;

pub(super) use self::{
    calls::refused,
    enter::{Grants, enter, enter_noting},
    limits::share_of_threads,
};
pub use self::{
    enter::{Confinement, Sandbox},
    limits::Limits,
};
