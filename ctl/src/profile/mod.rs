//! `login`, `logout`, `whoami` and `profile …`: servers that a user works on, and who the user is there.
//!
//! A profile is a server and a credential under a name. `store` is the one part that knows the file in which they are kept.

pub(crate) mod list;
mod login;
pub(crate) mod logout;
mod store;
pub(crate) mod use_one;
pub(crate) mod whoami;

pub(crate) use self::{
    list::list,
    login::login,
    logout::logout,
    store::{Kept, Profile, Profiles},
    use_one::use_one,
    whoami::whoami,
};
