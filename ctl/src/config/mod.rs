//! The settings of the program: which there are, where their values come from, and the commands that show them.
//!
//! ```text
//! table (names, kinds, defaults) ──> file, variables ──> settings (the value of each, and its origin)
//!                                                          ├──> defaults of arguments
//!                                                          └──> database, retention
//! ```
//! Only `surroundings` reads the environment.

mod arguments;
pub(crate) mod encrypt;
mod file;
mod kind;
pub(crate) mod new_key;
mod seal;
mod settings;
pub(crate) mod show;
mod surroundings;
mod table;
pub(crate) mod value;

pub(crate) use self::{
    arguments::{takes_settings, with_settings},
    encrypt::encrypt,
    new_key::new_key,
    settings::Settings,
    show::show,
    surroundings::Config,
};
