//! Versions of one package, as many as are wanted, from one compiled library.
//!
//! Each version is a library of its own: other bytes, another digest, mapped beside the others. Compiling thousands would
//! take longer than everything else, so the text of the version, which stands in the metadata and in the code, is
//! replaced in the compiled file by another of the same length.

use std::{fs, path::Path};

use cloacina_packager::{Input, InputLibrary};
use cloacina_tests::library;

/// Of the same length for each version that there may be.
const PLACEHOLDER: &str = "1.1000000.0";

/// Two tasks in a row. Each says which version's code ran it, and completes on a thread of its own some moments later,
/// so that there are always calls under way in versions that are no longer active.
const SOURCE: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "fixture.h"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"swapped\",\"version\":\"1.1000000.0\",\"workflows\":[{\"name\":\"work\","
        "\"tasks\":[{\"id\":\"first\",\"index\":0},{\"id\":\"second\",\"index\":1,\"dependencies\":[\"first\"]}]}]}");
struct call { uint64_t id; uint32_t task; };
static void *work(void *given) {
    struct call call = *(struct call *)given;
    const struct timespec moment = {0, 2 * 1000 * 1000};
    char output[80];
    free(given);
    nanosleep(&moment, NULL);
    snprintf(output, sizeof output, "{\"set\":{\"%s\":\"%s\"}}", call.task == 0 ? "first" : "second", "1.1000000.0");
    clcn_result result = CLCN_RESULT_INIT;
    result.output.ptr = (const uint8_t *)output;
    while (output[result.output.len] != 0) result.output.len++;
    host->complete(host->ctx, call.id, &result);
    return NULL;
}
static int32_t start(const clcn_start *asked) {
    pthread_t thread;
    struct call *call = malloc(sizeof *call);
    if (call == NULL) return CLCN_REFUSED;
    call->id = asked->call_id;
    call->task = asked->task;
    if (pthread_create(&thread, NULL, work, call) != 0) {
        free(call);
        return CLCN_REFUSED;
    }
    pthread_detach(thread);
    return CLCN_OK;
}
"#;

/// The versions of the package.
pub(crate) struct Versions {
    compiled: Vec<u8>,
}

impl Versions {
    /// Compiles the one library.
    pub(crate) fn compile(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { compiled: fs::read(library::compile(folder, "swapped", SOURCE))? })
    }

    /// The text of a version.
    pub(crate) fn text(number: usize) -> String {
        format!("1.{}.0", 1_000_000 + number)
    }

    /// The archive of a version.
    pub(crate) fn archive(&self, number: usize) -> Result<Vec<u8>, cloacina_packager::Error> {
        let (from, to) = (PLACEHOLDER.as_bytes(), Self::text(number));
        let mut bytes = self.compiled.clone();
        let mut place = 0;
        while let Some(found) = bytes[place..].windows(from.len()).position(|window| window == from) {
            place += found;
            bytes[place..place + from.len()].copy_from_slice(to.as_bytes());
            place += from.len();
        }
        let library = InputLibrary { name: "libswapped.so".to_owned(), bytes };
        cloacina_packager::write(&Input { libraries: vec![library], ..Input::default() })
    }
}
