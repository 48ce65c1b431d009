//! `cloacina-ctl workflow …`: the workflows that a database knows.

mod list;
mod show;

pub(crate) use self::{list::list, show::show};
