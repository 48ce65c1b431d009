//! The verbs of `cloacina-ctl package`, one file each: arguments → library call → report.

mod build;
mod conformance;
mod describe;
mod inspect;
mod merge;
mod name;
mod new;
pub(crate) mod place;
mod repack;
mod sign;
mod signature;
mod source;
mod verify;
mod visualize;

pub(crate) use self::{
    build::{build, build_crate},
    conformance::{examine, test},
    inspect::inspect,
    merge::merge,
    new::new,
    repack::repack,
    sign::sign,
    source::Source,
    verify::verify,
    visualize::visualize,
};
