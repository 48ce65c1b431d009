//! The host table: the functions that packages call, from any thread, at any time, with anything.
//!
//! Nothing here trusts its arguments. `ctx` is a library's number in disguise and is looked up, never followed; a
//! call is a number that is looked up; pointers and lengths are checked, and bytes are copied before the function
//! returns. A panic on this side is caught and counted. What cannot be made sense of is counted and ignored, except
//! for the end of an open call, which always ends that call.

use std::{
    ffi::c_void,
    mem::{self, MaybeUninit},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use cloacina_workflow::{
    Level,
    abi::{
        ABI_MINOR, Bytes, CallResult as SentResult, FETCH_ABSENT, FETCH_FOUND, FETCH_GONE, FETCH_UNKNOWN, HostV1, Take,
    },
};

use super::{
    LogLine,
    call::Anomalies,
    catalog::CATALOG,
    fetch::Question,
    inside,
    loaded::Loaded,
    output::{self, Bad, LINE_SENT_MAX, NAME_SENT_MAX, SECRET_PIECES_BYTES_MAX, Sent},
};

/// The table for the library with that number.
pub(super) fn table(library: usize, max_log_level: *const u32) -> HostV1 {
    HostV1 {
        size: u32::try_from(mem::size_of::<HostV1>()).expect("invariant: the table is a few dozen bytes long"),
        abi_minor: ABI_MINOR,
        ctx: ptr::without_provenance_mut(library),
        max_log_level,
        complete,
        log,
        heartbeat,
        is_cancelled,
        secret,
        fetch,
    }
}

/// Runs one function of the table for the library that `ctx` numbers, with panics kept on this side.
fn enter<T>(ctx: *mut c_void, otherwise: T, inner: impl FnOnce(&'static Loaded) -> T) -> T {
    let caught = catch_unwind(AssertUnwindSafe(|| match CATALOG.loaded(ctx.addr()) {
        Some(library) => Some((library, catch_unwind(AssertUnwindSafe(|| inner(library))))),
        None => {
            tracing::warn!("a package called the host with a context that is not the host's; the call is ignored");
            None
        }
    }));
    match caught {
        Ok(Some((_, Ok(value)))) => value,
        Ok(Some((library, Err(_)))) => {
            Anomalies::count(&library.calls().anomalies.caught_panics);
            otherwise
        }
        Ok(None) | Err(_) => otherwise,
    }
}

unsafe extern "C" fn complete(ctx: *mut c_void, call_id: u64, result: *const SentResult) {
    enter(ctx, (), |library| {
        let calls = library.calls();
        let Some((id, sink)) = calls.take(call_id) else {
            return library.report_stale_completion(call_id);
        };
        // SAFETY: the package promises that a result which is neither null nor misaligned is one, until we return.
        let sent = unsafe { read(result) };
        let measured = sent.map(|sent| match sent.cpu_ns {
            0 => Sent { cpu_ns: inside::cpu_ns(id), ..sent },
            _ => sent,
        });
        if let Err(bad) = measured.and_then(|sent| sink.end(id, &sent)) {
            if Anomalies::count(&calls.anomalies.bad_results) {
                tracing::warn!(library = %library.digest(), call = %id, code = bad.code(), "{bad}");
            }
            sink.complete(id, bad.into_result());
        }
    });
}

unsafe extern "C" fn log(ctx: *mut c_void, call_id: u64, level: u32, target: Bytes, message: Bytes, fields: Bytes) {
    enter(ctx, (), |library| {
        let calls = library.calls();
        // SAFETY: the package lends the bytes until we return.
        let target = unsafe { target.borrow() };
        // SAFETY: as above.
        let message = unsafe { message.borrow() };
        // SAFETY: as above.
        let fields = unsafe { fields.borrow() };
        let (Some(target), Some(message), Some(fields)) = (target, message, fields) else {
            Anomalies::count(&calls.anomalies.stray_reports);
            return;
        };
        let line = LogLine {
            level: Level::from_number(level),
            target: output::text(target, NAME_SENT_MAX),
            message: output::text(message, LINE_SENT_MAX),
            fields: output::fields(fields),
        };
        match calls.find(call_id) {
            Some((id, sink)) => sink.log(id, line),
            None => library.log_without_call(call_id, &line),
        }
    });
}

unsafe extern "C" fn heartbeat(ctx: *mut c_void, call_id: u64, permille: u32, note: Bytes) {
    enter(ctx, (), |library| {
        let calls = library.calls();
        // SAFETY: the package lends the bytes until we return.
        let note = unsafe { note.borrow() };
        match (calls.find(call_id), note) {
            (Some((id, sink)), Some(note)) => sink.heartbeat(id, permille.min(1000), output::text(note, NAME_SENT_MAX)),
            _ => {
                Anomalies::count(&calls.anomalies.stray_reports);
            }
        }
    });
}

unsafe extern "C" fn is_cancelled(ctx: *mut c_void, call_id: u64) -> i32 {
    // Whatever went wrong, the engine no longer waits for the call, so the call should stop.
    enter(ctx, 1, |library| i32::from(library.calls().is_cancelled(call_id)))
}

unsafe extern "C" fn secret(ctx: *mut c_void, call_id: u64, text: Bytes) {
    enter(ctx, (), |library| {
        let calls = library.calls();
        // SAFETY: the package lends the bytes until we return.
        let text = unsafe { text.borrow() };
        let (Some((id, sink)), Some(text)) = (calls.find(call_id), text) else {
            Anomalies::count(&calls.anomalies.stray_reports);
            return;
        };
        // The mark that a text was cut is not part of it.
        let cut = text.len() > SECRET_PIECES_BYTES_MAX;
        let text = output::text(text, SECRET_PIECES_BYTES_MAX);
        let text = if cut { text.strip_suffix('…').unwrap_or(&text) } else { &text };
        output::secret_pieces(text).for_each(|piece| sink.secret(id, piece.to_owned()));
        library.keep_secrets(&*sink);
    });
}

unsafe extern "C" fn fetch(
    ctx: *mut c_void,
    call_id: u64,
    what: u32,
    task: Bytes,
    key: Bytes,
    user: *mut c_void,
    take: Option<Take>,
) -> i32 {
    enter(ctx, FETCH_GONE, |library| {
        let calls = library.calls();
        // SAFETY: the package lends the bytes until we return.
        let task = unsafe { task.borrow() };
        // SAFETY: as above.
        let key = unsafe { key.borrow() };
        let question = task.zip(key).and_then(|(task, key)| Question::read(what, task, key));
        let (Some(question), Some(take)) = (question, take) else {
            Anomalies::count(&calls.anomalies.stray_reports);
            return FETCH_UNKNOWN;
        };
        let Some((id, sink)) = calls.find(call_id) else {
            Anomalies::count(&calls.anomalies.stray_reports);
            return FETCH_GONE;
        };
        match sink.fetch(id, &question) {
            Ok(None) => FETCH_ABSENT,
            Ok(Some(answer)) => {
                let writer = answer.writer.as_deref().unwrap_or_default();
                // SAFETY: the package promises that its function takes this and whatever `user` it gave, on this thread.
                unsafe { take(user, Bytes::lend(answer.bytes()), Bytes::lend(writer.as_bytes())) };
                FETCH_FOUND
            }
            Err(unanswered) => unanswered.status(),
        }
    })
}

/// Checks the pointers in the end of a call.
///
/// # Safety
/// `result` is null, misaligned, or points to a result of at least its own `size` bytes, which stays there with all
/// that it points to for `'a`.
pub(super) unsafe fn read<'a>(result: *const SentResult) -> Result<Sent<'a>, Bad> {
    if result.is_null() {
        return Err(Bad::Null);
    }
    if !result.is_aligned() {
        return Err(Bad::Misaligned { align: mem::align_of::<SentResult>() });
    }
    // SAFETY: not null, aligned, and every result of any version starts with its size.
    let size = unsafe { result.cast::<u32>().read() };
    let len = usize::try_from(size).unwrap_or(usize::MAX);
    // A package of an earlier version has nothing behind what that version had.
    let known = SentResult::SIZES.into_iter().rfind(|known| *known <= len);
    let known = known.ok_or(Bad::Size { found: size, expected: SentResult::SIZE_MIN })?;
    let mut whole = MaybeUninit::<SentResult>::zeroed();
    // SAFETY: what is read is inside of the package's struct by its own size, what is written inside of ours.
    unsafe { ptr::copy_nonoverlapping(result.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: integers and pointers, for which zeros are a value too.
    let result = unsafe { whole.assume_init() };
    let checked = |field, bytes: Bytes, lent: Option<&'a [u8]>| lent.ok_or(Bad::Pointer { field, len: bytes.len });
    // SAFETY: readable for 'a by the caller's promise.
    let output = checked("output", result.output, unsafe { result.output.borrow() })?;
    // SAFETY: as above.
    let error_code = checked("error code", result.error_code, unsafe { result.error_code.borrow() })?;
    // SAFETY: as above.
    let error_message = checked("error message", result.error_message, unsafe { result.error_message.borrow() })?;
    let SentResult { status, output_kind, retry_after_ms, retry_after_us, cpu_ns, .. } = result;
    let retry_after_us = match retry_after_us {
        0 => u64::from(retry_after_ms) * 1_000,
        _ => retry_after_us,
    };
    Ok(Sent { status, output_kind, retry_after_us, output, error_code, error_message, cpu_ns })
}
