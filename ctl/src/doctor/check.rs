//! What a look at one thing found: whether it is as it should be, and what to do otherwise.

use serde::Serialize;
use utoipa::ToSchema;

use crate::document::Document;
use crate::error::Error;
use crate::output::Paint;

/// What was found of everything.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diagnosis {
    /// The worst status of all checks: `ok`, `warn` or `fail`.
    status: Status,
    /// The checks, in the order in which they were made.
    checks: Vec<Check>,
}

impl Document for Diagnosis {}

/// What was found of one thing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    /// What was looked at.
    name: &'static str,
    /// `ok`; `warn` for what works and may surprise; `fail` for what keeps an engine or its server from working.
    status: Status,
    /// What was found.
    found: String,
    /// What to do. Absent if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, found: found.into(), remedy: None }
    }

    pub(super) fn warn(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Warn, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn fail(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, status: Status::Fail, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// What an error says, and what its hints and its page say to do.
    pub(super) fn of_error(name: &'static str, error: &Error) -> Self {
        let explain = format!("`cloacina-ctl explain {}`", error.code());
        let mut hints = error.hints();
        hints.push(explain);
        let causes = crate::output::causes(error);
        let found = [vec![error.to_string()], causes].concat().join(": ");
        Self::fail(name, found, hints.join("; "))
    }
}

impl Diagnosis {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok);
        Self { status, checks }
    }

    /// Whether nothing keeps an engine or its server from working.
    pub(super) fn is_sound(&self) -> bool {
        self.status < Status::Fail
    }

    /// A line for each check, and one more for what to do.
    pub(super) fn text(&self, paint: Paint) -> String {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        let lines = self.checks.iter().map(|Check { name, status, found, remedy }| {
            let status = match status {
                Status::Ok => paint.green("ok  "),
                Status::Warn => paint.yellow("warn"),
                Status::Fail => paint.red("fail"),
            };
            let remedy = remedy.iter().map(|remedy| format!("{:indent$}{remedy}\n", "", indent = width + 8));
            format!("{status}  {name:width$}  {found}\n{}", remedy.collect::<String>())
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_counts() {
        let (ok, warn) = (|| Check::ok("a", "fine"), || Check::warn("b", "odd", "mend it"));
        assert_eq!(Diagnosis::new(vec![ok()]).status, Status::Ok);
        assert_eq!(Diagnosis::new(vec![warn(), ok()]).status, Status::Warn);
        assert!(Diagnosis::new(vec![warn()]).is_sound());
        assert!(!Diagnosis::new(vec![warn(), Check::fail("c", "bad", "mend it"), ok()]).is_sound());
    }
}
