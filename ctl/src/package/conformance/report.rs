//! What came of an examination: a line for each rule, and below it what is wrong and what to do.
//!
//! A package passes if every rule was looked at and none is broken that is more than manners. Programs get the same as
//! people, in the same order.

use std::path::{Path, PathBuf};

use serde::Serialize;
use utoipa::ToSchema;

use super::rule::{RULES, Rule};
use crate::document::Document;
use crate::output::Paint;

/// Whether a package keeps the rules of the protocol.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// The file of the archive.
    #[schema(value_type = String)]
    archive: PathBuf,
    /// The name of the package. Absent if the archive cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<String>,
    /// Its version. Absent if the archive cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Whether no rule is broken.
    pub(super) passed: bool,
    /// Every rule with its result.
    rules: Vec<Examined>,
}

impl Document for Report {}

/// A rule with its result.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Examined {
    /// The name of the rule.
    #[schema(value_type = String)]
    rule: Rule,
    /// What the rule asks for.
    about: &'static str,
    /// `passed`, `failed`, `advice` for one that is broken without harm, or `not_reached`.
    result: Verdict,
    /// How the package breaks the rule.
    findings: Vec<Remark>,
    /// Further notes.
    notes: Vec<Remark>,
    /// What to do about it. Absent if the package follows the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

/// Something that was found, or is to be known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Remark {
    /// The id of the task. Absent if it is about the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task: Option<String>,
    /// What was found.
    pub(super) what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Passed,
    Failed,
    /// Broken, which is bad manners and no more.
    Advice,
    NotReached,
}

impl Report {
    pub(super) fn new(archive: &Path, package: Option<(String, String)>, rules: Vec<Examined>) -> Self {
        let (package, version) = package.unzip();
        let passed = !rules.iter().any(|examined| matches!(examined.result, Verdict::Failed | Verdict::NotReached));
        Self { archive: archive.to_owned(), package, version, passed, rules }
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text: String = self.rules.iter().map(|examined| examined.text(paint)).collect();
        let name = match (&self.package, &self.version) {
            (Some(package), Some(version)) => format!("{package} {version}"),
            _ => self.archive.display().to_string(),
        };
        let n_failed = self.rules.iter().filter(|examined| examined.result == Verdict::Failed).count();
        text.push_str(&match self.passed {
            true => format!("\n{name} follows the rules\n"),
            false => format!("\n{name} breaks {n_failed} of {} rules\n", RULES.len()),
        });
        text
    }
}

impl Examined {
    /// A rule that was looked at.
    pub(super) fn new(rule: Rule, findings: Vec<Remark>, notes: Vec<Remark>) -> Self {
        let result = match () {
            () if findings.is_empty() => Verdict::Passed,
            () if rule.is_advice() => Verdict::Advice,
            () => Verdict::Failed,
        };
        let remedy = (!findings.is_empty()).then(|| rule.remedy());
        Self { rule, about: rule.about(), result, findings, notes, remedy }
    }

    /// A rule that could not be looked at, because of another.
    pub(super) fn not_reached(rule: Rule) -> Self {
        let (findings, notes) = (Vec::new(), Vec::new());
        Self { rule, about: rule.about(), result: Verdict::NotReached, findings, notes, remedy: None }
    }

    /// Whether nothing is to be said against the package.
    pub(super) fn is_passed(&self) -> bool {
        self.result == Verdict::Passed
    }

    fn text(&self, paint: Paint) -> String {
        const INDENT: &str = "             ";
        let result = match self.result {
            Verdict::Passed => paint.green("passed     "),
            Verdict::Failed => paint.red("FAILED     "),
            Verdict::Advice => paint.yellow("advice     "),
            Verdict::NotReached => paint.dim("not reached"),
        };
        let mut text = format!("{result}  {}\n", self.about);
        for remark in &self.findings {
            text.push_str(&format!("{INDENT}{}\n", remark.text()));
        }
        for remark in &self.notes {
            text.push_str(&format!("{INDENT}{}\n", paint.dim(&remark.text())));
        }
        if let Some(remedy) = self.remedy {
            text.push_str(&format!("{INDENT}{} {remedy}\n", paint.cyan("hint:")));
        }
        text
    }
}

impl Remark {
    fn text(&self) -> String {
        match &self.task {
            Some(task) => format!("{task}: {}", self.what),
            None => self.what.clone(),
        }
    }
}
