//! `cloacina-ctl workflow …`: the workflows that a database knows, and workflows as data.

mod apply;
pub(crate) mod list;
pub(crate) mod show;

pub(crate) use self::{apply::apply, list::list, show::show};
