//! The verbs of `cloacina-ctl trust`: whom a tenant trusts to sign packages.
//!
//! To show it the database is only looked at. To change it the running engine is asked, and without one this program is
//! an engine that starts no task, for the moment.

pub(crate) mod change;
mod show;
pub(crate) mod view;

pub(crate) use self::{
    change::{add, remove, require, revoke},
    show::show,
};
