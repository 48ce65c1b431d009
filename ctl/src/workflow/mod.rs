//! `cloacina-ctl workflow …`: the workflows that a database knows.

pub(crate) mod list;
pub(crate) mod show;

pub(crate) use self::{list::list, show::show};
