//! The verbs of `cloacina-ctl key`, one file each, and the folder that keys are kept in.
//!
//! A secret key is written once, readable by its owner alone, and never printed.

pub(crate) mod generate;
pub(crate) mod list;
mod ring;
pub(crate) mod show;

pub(crate) use self::{
    generate::generate,
    list::list,
    ring::{Ring, new_secret},
    show::show,
};
