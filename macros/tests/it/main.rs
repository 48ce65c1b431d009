//! The macros as their users meet them: through the sdk and the real compiler.

mod reference;
mod source;
mod ui;
