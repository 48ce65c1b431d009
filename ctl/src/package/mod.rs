//! The verbs of `cloacina-ctl package`, one file each: arguments → library call → report.

mod build;
mod change;
mod conformance;
mod describe;
mod diff;
mod inspect;
mod list;
mod living;
mod merge;
mod name;
mod new;
pub(crate) mod place;
mod register;
mod repack;
mod show;
mod sign;
mod signature;
mod source;
mod usage;
mod verify;
mod version;
mod visualize;

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
