//! The verbs of `cloacina-ctl package`, one file each: arguments → library call → report.

pub(crate) mod build;
pub(crate) mod change;
pub(crate) mod conformance;
mod describe;
pub(crate) mod diff;
pub(crate) mod inspect;
pub(crate) mod list;
mod living;
pub(crate) mod merge;
mod name;
pub(crate) mod new;
pub(crate) mod place;
pub(crate) mod register;
pub(crate) mod repack;
pub(crate) mod show;
pub(crate) mod sign;
mod signature;
mod source;
pub(crate) mod usage;
pub(crate) mod verify;
mod version;
pub(crate) mod visualize;

pub(crate) use self::{
    build::{build, build_crate},
    change::{activate, quarantine, release, remove, retire, rollback},
    conformance::{examine, test},
    diff::diff,
    inspect::inspect,
    list::list,
    merge::merge,
    new::new,
    register::register,
    repack::repack,
    show::show,
    sign::sign,
    source::Source,
    usage::usage,
    verify::verify,
    visualize::visualize,
};
