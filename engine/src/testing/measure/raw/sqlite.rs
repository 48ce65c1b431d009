//! SQLite through its C interface: a connection, and statements that are prepared once.
//!
//! Values are bound in place and not copied. The connection is used without SQLite's own locks, as no other thread has it;
//! a statement borrows its connection, so it cannot outlive it.

use std::{
    ffi::{CStr, CString, c_int},
    path::Path,
    ptr,
};

use libsqlite3_sys as ffi;

use crate::{
    store::{Commit, file_settings},
    testing::measure::MeasureError,
};

const INSERT_RUN: &CStr =
    c"INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at) VALUES (?, ?, ?, ?, ?, ?)";
const INSERT_EVENT: &CStr = c"INSERT INTO event (run, sequence, kind, task, attempt, at, started_at, payload) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const UPDATE_RUN: &CStr = c"UPDATE run SET state = ?, started_at = ?, finished_at = ? WHERE id = ?";

/// The version of SQLite that is built into the program.
#[must_use]
pub fn sqlite_version() -> String {
    ffi::SQLITE_VERSION.to_string_lossy().into_owned()
}

/// How often SQLite prepared a statement anew because other values were bound to it, when it was executed twice.
#[cfg(test)]
pub(crate) fn n_prepared_anew(path: &Path, sql: &str, values: &[Value<'_>]) -> Result<c_int, MeasureError> {
    let connection = Sqlite::open(path)?;
    let sql = CString::new(sql).map_err(|error| failed(error.to_string()))?;
    let mut statement = connection.prepare(&sql)?;
    for _time in 0..2 {
        statement.execute(values)?;
    }
    // SAFETY: the statement is prepared.
    Ok(unsafe { ffi::sqlite3_stmt_status(statement.raw, ffi::SQLITE_STMTSTATUS_REPREPARE, 0) })
}

/// A connection, set up as the writer's.
pub(super) struct Sqlite {
    raw: *mut ffi::sqlite3,
}

/// Everything that is executed for a load.
pub(super) struct Statements<'a> {
    begin: Statement<'a>,
    commit: Statement<'a>,
    insert_run: Statement<'a>,
    insert_event: Statement<'a>,
    update_run: Statement<'a>,
}

struct Statement<'a> {
    raw: *mut ffi::sqlite3_stmt,
    connection: &'a Sqlite,
}

pub(crate) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Sqlite {
    pub(super) fn open(path: &Path) -> Result<Self, MeasureError> {
        let name = CString::new(path.to_string_lossy().as_bytes()).map_err(|error| failed(error.to_string()))?;
        let mut raw = ptr::null_mut();
        let flags = ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_NOMUTEX;
        // SAFETY: both pointers are valid for the call, and the name ends with a zero.
        let code = unsafe { ffi::sqlite3_open_v2(name.as_ptr(), &mut raw, flags, ptr::null()) };
        // Also what could not be opened must be closed.
        let connection = Self { raw };
        connection.check(code)?;
        let settings = CString::new(file_settings()).map_err(|error| failed(error.to_string()))?;
        // SAFETY: the connection is open, the text ends with a zero, and no callback is given.
        let code =
            unsafe { ffi::sqlite3_exec(connection.raw, settings.as_ptr(), None, ptr::null_mut(), ptr::null_mut()) };
        connection.check(code)?;
        Ok(connection)
    }

    pub(super) fn prepare_all(&self) -> Result<Statements<'_>, MeasureError> {
        Ok(Statements {
            begin: self.prepare(c"BEGIN IMMEDIATE")?,
            commit: self.prepare(c"COMMIT")?,
            insert_run: self.prepare(INSERT_RUN)?,
            insert_event: self.prepare(INSERT_EVENT)?,
            update_run: self.prepare(UPDATE_RUN)?,
        })
    }

    fn prepare(&self, sql: &CStr) -> Result<Statement<'_>, MeasureError> {
        let mut raw = ptr::null_mut();
        let flags = ffi::SQLITE_PREPARE_PERSISTENT;
        // SAFETY: the connection is open, the text ends with a zero, and the place for the statement is valid.
        let code = unsafe { ffi::sqlite3_prepare_v3(self.raw, sql.as_ptr(), -1, flags, &mut raw, ptr::null_mut()) };
        self.check(code)?;
        Ok(Statement { raw, connection: self })
    }

    fn check(&self, code: c_int) -> Result<(), MeasureError> {
        if [ffi::SQLITE_OK, ffi::SQLITE_DONE, ffi::SQLITE_ROW].contains(&code) {
            return Ok(());
        }
        // SAFETY: it answers for a connection that is null, too.
        let message = unsafe { ffi::sqlite3_errmsg(self.raw) };
        // SAFETY: it is never null, ends with a zero and is copied before the connection is used again.
        let message = unsafe { CStr::from_ptr(message) };
        Err(failed(message.to_string_lossy().into_owned()))
    }
}

impl Statements<'_> {
    /// Writes the commits in one transaction.
    pub(super) fn write(&mut self, commits: &[&Commit]) -> Result<(), MeasureError> {
        self.begin.execute(&[])?;
        for commit in commits {
            let run = Value::Blob(commit.run.as_bytes());
            if let Some(new) = &commit.create {
                self.insert_run.execute(&[
                    run,
                    Value::Blob(new.workflow.as_bytes()),
                    Value::Text(new.state.as_str()),
                    Value::Integer(commit.epoch),
                    Value::micros(Some(new.created_at)),
                    Value::micros(new.started_at),
                ])?;
            }
            for event in &commit.events {
                self.insert_event.execute(&[
                    Value::Blob(commit.run.as_bytes()),
                    Value::Integer(event.sequence),
                    Value::Text(event.kind.as_str()),
                    event.task.map_or(Value::Null, |task| Value::Integer(task.into())),
                    event.attempt.map_or(Value::Null, |attempt| Value::Integer(attempt.into())),
                    Value::micros(Some(event.at)),
                    Value::micros(event.started_at),
                    event.payload.as_deref().map_or(Value::Null, Value::Blob),
                ])?;
            }
            if let Some(update) = &commit.update {
                self.update_run.execute(&[
                    Value::Text(update.state.as_str()),
                    Value::micros(update.started_at),
                    Value::micros(update.finished_at),
                    Value::Blob(commit.run.as_bytes()),
                ])?;
            }
        }
        self.commit.execute(&[])
    }
}

impl Statement<'_> {
    fn execute(&mut self, values: &[Value<'_>]) -> Result<(), MeasureError> {
        for (value, position) in values.iter().zip(1..) {
            let code = self.bind(position, value);
            if code != ffi::SQLITE_OK {
                return self.connection.check(code);
            }
        }
        // SAFETY: the statement is prepared, and what is bound lives until this function returns.
        let code = unsafe { ffi::sqlite3_step(self.raw) };
        let stepped = self.connection.check(code);
        // SAFETY: the statement is prepared. Its code repeats what the step said.
        unsafe { ffi::sqlite3_reset(self.raw) };
        stepped
    }

    fn bind(&mut self, position: c_int, value: &Value<'_>) -> c_int {
        let length = |bytes: &[u8]| c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);
        match value {
            // SAFETY: the statement is prepared.
            Value::Null => unsafe { ffi::sqlite3_bind_null(self.raw, position) },
            // SAFETY: the statement is prepared.
            Value::Integer(number) => unsafe { ffi::sqlite3_bind_int64(self.raw, position, *number) },
            // SAFETY: the statement is prepared, and the bytes live until it has been executed.
            Value::Text(text) => unsafe {
                let bytes = text.as_ptr().cast();
                ffi::sqlite3_bind_text(self.raw, position, bytes, length(text.as_bytes()), ffi::SQLITE_STATIC())
            },
            // SAFETY: the statement is prepared, and the bytes live until it has been executed.
            Value::Blob(blob) => unsafe {
                let bytes = blob.as_ptr().cast();
                ffi::sqlite3_bind_blob(self.raw, position, bytes, length(blob), ffi::SQLITE_STATIC())
            },
        }
    }
}

impl Value<'_> {
    fn micros(at: Option<cloacina_workflow::Timestamp>) -> Self {
        let micros = at.map(|at| i64::try_from(at.unix_micros()).unwrap_or(i64::MAX));
        micros.map_or(Value::Null, Value::Integer)
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: the statement is prepared and finalized nowhere else.
        unsafe { ffi::sqlite3_finalize(self.raw) };
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // SAFETY: the connection is closed nowhere else, and its statements are gone, as they borrow it.
        unsafe { ffi::sqlite3_close(self.raw) };
    }
}

fn failed(message: String) -> MeasureError {
    MeasureError::Database { doing: "writing to SQLite", message }
}
