//! What generated code and the engine may name. Not part of the interface: it changes with any release.
//!
//! The module's number is the version of the contract between macros and sdk, so that versions that do not fit
//! together fail to compile instead of misbehaving.

/// The contract of version 0.1.
pub mod v1 {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::{Value, value::RawValue};

    use crate::{
        Context, ContextError, TaskError,
        abi::{ABI_MAJOR, ABI_MINOR},
        descriptor::{FORMAT, MAGIC},
    };
    pub use crate::{
        abi::clock::thread_cpu,
        attempt::{Attempt, AttemptEnd},
        context::{Host, TaskInfo},
        redact::{REDACTED, Redaction, Redactor, SECRET_BYTES_MIN, collect, collect_text},
        source::Source,
        task::{Function, StaticWorkflow, TaskFuture, Workflow},
    };

    /// The names of signatures, for a module that lacks them and was told so.
    pub mod names {
        pub use crate::{Context, Outcome, TaskError, Value};
    }

    /// `CARGO_PKG_VERSION` of the sdk, with its name.
    pub const SDK: &str = concat!("cloacina-workflow ", env!("CARGO_PKG_VERSION"));
    /// The ABI that packages of this sdk speak, `major.minor`.
    pub const ABI: &str = "1.2";
    const _: () = assert!(ABI_MAJOR == 1 && ABI_MINOR == 2, "ABI must say the version of the structs");
    /// The compiler.
    pub const RUSTC: &str = env!("CLOACINA_RUSTC");
    /// The target triple.
    pub const TARGET: &str = env!("CLOACINA_TARGET");
    /// The panic strategy, which is one for all crates of a build.
    pub const PANIC: &str = if cfg!(panic = "abort") { "abort" } else { "unwind" };

    /// How many bytes the pieces have together.
    #[must_use]
    pub const fn total_len(pieces: &[&str]) -> usize {
        let (mut total, mut piece) = (0, 0);
        while piece < pieces.len() {
            total += pieces[piece].len();
            piece += 1;
        }
        total
    }

    /// A record of the section `cloacina`; its size is a multiple of its alignment, so records follow each other.
    #[derive(Debug)]
    #[repr(C, align(8))]
    pub struct Record<const LEN: usize> {
        magic: [u8; 8],
        format: u32,
        json_len: u32,
        json: [u8; LEN],
    }

    impl<const LEN: usize> Record<LEN> {
        /// Copies the pieces, whose total length is `LEN`.
        ///
        /// # Panics
        /// At compile time, when the length is another.
        #[must_use]
        pub const fn new(pieces: &[&str]) -> Self {
            assert!(total_len(pieces) == LEN && LEN <= u32::MAX as usize);
            let mut json = [0; LEN];
            let (mut at, mut piece) = (0, 0);
            while piece < pieces.len() {
                let bytes = pieces[piece].as_bytes();
                let mut byte = 0;
                while byte < bytes.len() {
                    json[at] = bytes[byte];
                    at += 1;
                    byte += 1;
                }
                piece += 1;
            }
            Self { magic: MAGIC, format: FORMAT.to_le(), json_len: (LEN as u32).to_le(), json }
        }
    }

    /// An entry of the section `cloacina_fn`.
    #[derive(Debug)]
    #[repr(transparent)]
    pub struct Entry(Option<&'static StaticWorkflow>);

    impl Entry {
        /// The entry of a module.
        #[must_use]
        pub const fn new(workflow: &'static StaticWorkflow) -> Self {
            Self(Some(workflow))
        }

        pub(crate) const ANCHOR: Self = Self(None);

        pub(crate) fn workflow(&self) -> Option<&'static StaticWorkflow> {
            self.0
        }
    }

    /// The result of a task with any error that converts.
    ///
    /// # Errors
    /// The task's error, converted.
    pub fn task_result<E: Into<TaskError>>(result: Result<(), E>) -> Result<(), TaskError> {
        result.map_err(Into::into)
    }

    /// What a callback may return: nothing, or a result with any error that converts.
    pub trait CallbackResult {
        /// The same as a result.
        ///
        /// # Errors
        /// The callback's error, converted.
        fn into_result(self) -> Result<(), TaskError>;
    }

    impl CallbackResult for () {
        fn into_result(self) -> Result<(), TaskError> {
            Ok(())
        }
    }

    impl<E: Into<TaskError>> CallbackResult for Result<(), E> {
        fn into_result(self) -> Result<(), TaskError> {
            self.map_err(Into::into)
        }
    }

    /// The result of a callback.
    ///
    /// # Errors
    /// The callback's error, converted.
    pub fn callback_result(result: impl CallbackResult) -> Result<(), TaskError> {
        result.into_result()
    }

    /// The values of a run's input.
    ///
    /// # Errors
    /// A value that nests too deep.
    pub fn input_values(context: &Context<Value>) -> Result<BTreeMap<Arc<str>, Arc<RawValue>>, ContextError> {
        context.raw_values()
    }
}
