//! `package verify`: every check of an archive with its result.
//!
//! The checks of the form are made one after the other, as a reader makes them: after one that failed the rest cannot
//! be made. The checks of the library are all made.

use std::path::Path;

use cloacina_packager::library::GlibcVersion;
use cloacina_packager::{Error as PackageError, ReadOptions, Target};
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use super::signature::{Signatures, SignedBy};
use crate::cli::VerifyArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint, Problem, Warning};

/// The checks in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Form,
    Files,
    Digests,
    Library,
    EntryPoint,
    Descriptor,
    Agreement,
    Machine,
    Needed,
    Glibc,
    SearchPath,
    Stack,
}

const CHECKS: [Check; 12] = [
    Check::Form,
    Check::Files,
    Check::Digests,
    Check::Library,
    Check::EntryPoint,
    Check::Descriptor,
    Check::Agreement,
    Check::Machine,
    Check::Needed,
    Check::Glibc,
    Check::SearchPath,
    Check::Stack,
];

/// All checks of an archive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Verified<'a> {
    /// The file of the archive.
    #[schema(value_type = String)]
    archive: &'a Path,
    /// The digest of what the package does. Absent if the archive cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_digest: Option<String>,
    /// The target triple for which it was checked.
    target: String,
    /// Whether every check passed.
    passed: bool,
    /// Every check with its result.
    checks: Vec<Checked>,
    /// Warnings about the archive, which is valid nevertheless.
    warnings: Vec<Warning>,
    /// The keys by which it is signed, as far as signatures were checked.
    signed_by: Vec<SignedBy>,
    #[serde(skip)]
    signers: String,
}

impl Document for Verified<'_> {}

/// A check with its result.
#[derive(Debug, Serialize, ToSchema)]
struct Checked {
    /// The name of the check.
    check: &'static str,
    /// What is checked.
    about: &'static str,
    /// `passed`, `failed` or `not_reached`.
    result: CheckResult,
    /// What was found.
    problems: Vec<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CheckResult {
    Passed,
    Failed,
    NotReached,
}

/// Checks an archive.
pub(crate) fn verify(arguments: &VerifyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let target = wanted(arguments.target.as_deref())?;
    let bytes = place::read(&arguments.file)?;
    let options = ReadOptions {
        target: Some(target),
        allowed_libraries: arguments.allow_library.clone(),
        glibc_available: GlibcVersion::of_this_process().filter(|_| Target::host() == Some(target)),
        ..ReadOptions::default()
    };
    let mut verified = Verified::new(&arguments.file, &bytes, &options, target);
    verified.add(Signatures::check(arguments, &bytes, config)?);
    output.answer(&verified, |paint| verified.text(paint))?;
    Ok(if verified.passed { exit::SUCCESS } else { exit::FAILED })
}

fn wanted(triple: Option<&str>) -> Result<Target, Error> {
    let unknown = |triple: &str| Error::from(PackageError::UnknownTarget { triple: triple.to_owned() });
    match triple {
        Some(triple) => Target::find(triple).ok_or_else(|| unknown(triple)),
        None => Target::host().ok_or_else(|| unknown("of this machine")),
    }
}

impl<'a> Verified<'a> {
    fn new(archive: &'a Path, bytes: &[u8], options: &ReadOptions, target: Target) -> Self {
        let (problems, content_digest, warnings) = problems(bytes, options, target);
        // Reading ends at the first problem; only the checks of the library report all problems.
        let stopped_at = problems.iter().map(check_of).min().filter(|check| *check < Check::Needed);
        let checks = CHECKS.map(|check| {
            let problems: Vec<Problem> =
                problems.iter().filter(|problem| check_of(problem) == check).map(Problem::of_package).collect();
            let result = match () {
                () if !problems.is_empty() => CheckResult::Failed,
                () if stopped_at.is_some_and(|stopped| check > stopped) => CheckResult::NotReached,
                () => CheckResult::Passed,
            };
            Checked { check: check.name(), about: check.about(), result, problems }
        });
        let target = target.triple().to_owned();
        Self {
            archive,
            content_digest,
            target,
            passed: problems.is_empty(),
            checks: checks.into(),
            warnings,
            signed_by: Vec::new(),
            signers: String::new(),
        }
    }

    /// Adds what is known of the signatures, if there is anything.
    fn add(&mut self, signatures: Signatures) {
        if !signatures.is_checked {
            return;
        }
        self.signers = signatures.text();
        let Signatures { signed_by, problems, .. } = signatures;
        let result = if problems.is_empty() { CheckResult::Passed } else { CheckResult::Failed };
        self.passed &= problems.is_empty();
        let about = "the signatures are genuine and made by the required keys";
        self.checks.push(Checked { check: "signatures", about, result, problems });
        self.signed_by = signed_by;
    }

    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for checked in &self.checks {
            let result = match checked.result {
                CheckResult::Passed => paint.green("passed     "),
                CheckResult::Failed => paint.red("FAILED     "),
                CheckResult::NotReached => paint.dim("not reached"),
            };
            text.push_str(&format!("{result}  {}\n", checked.about));
            for problem in &checked.problems {
                text.push_str(&problem.text("             ", paint));
            }
        }
        let archive = self.archive.display();
        let digest = self.content_digest.as_deref().unwrap_or_default();
        text.push_str(&self.signers);
        for warning in &self.warnings {
            text.push_str(&format!("\n{}: {}\n", paint.yellow(&format!("warning[{}]", warning.code)), warning.message));
        }
        text.push_str(&match self.passed {
            true => format!("\n{archive} is valid for {}: {digest}\n", self.target),
            false => format!("\n{archive} must not be used\n"),
        });
        text
    }
}

/// Everything that is wrong with the archive, as far as it could be looked at, its identity if it has one, and what is to
/// be known of it.
fn problems(bytes: &[u8], options: &ReadOptions, target: Target) -> (Vec<PackageError>, Option<String>, Vec<Warning>) {
    let any_target = ReadOptions { limits: options.limits.clone(), ..ReadOptions::default() };
    let package = match cloacina_packager::read_with(bytes, &any_target) {
        Ok(package) => package,
        Err(problem) => return (vec![problem], None, Vec::new()),
    };
    let digest = Some(package.content_digest().to_string());
    let warnings = cloacina_packager::warnings(package.descriptor()).iter().map(Warning::of_package).collect();
    let problems = match package.target() == target {
        true => package.problems(options),
        // A library for another target is checked by reading the archive again for that target.
        false => cloacina_packager::read_with(bytes, options).err().into_iter().collect(),
    };
    (problems, digest, warnings)
}

impl Check {
    fn name(self) -> &'static str {
        match self {
            Check::Form => "form",
            Check::Files => "files",
            Check::Digests => "digests",
            Check::Library => "library",
            Check::EntryPoint => "entry_point",
            Check::Descriptor => "descriptor",
            Check::Agreement => "agreement",
            Check::Machine => "machine",
            Check::Needed => "needed_libraries",
            Check::Glibc => "glibc",
            Check::SearchPath => "search_path",
            Check::Stack => "stack",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Check::Form => "the archive is canonical: one sequence of bytes for its files",
            Check::Files => "the files are those of the format, and manifest and metadata can be read",
            Check::Digests => "the libraries have the sizes and digests that the manifest states",
            Check::Library => "the libraries are shared libraries of known machines",
            Check::EntryPoint => "the libraries export the entry point of this ABI",
            Check::Descriptor => "the descriptors can be read and have no mistakes",
            Check::Agreement => "manifest, metadata and libraries agree",
            Check::Machine => "there is a library for the target",
            Check::Needed => "the library needs only libraries that are allowed",
            Check::Glibc => "the library does not need a newer glibc than this machine has",
            Check::SearchPath => "the library sets no search path",
            Check::Stack => "the library asks for no executable stack",
        }
    }
}

/// The check that a problem belongs to.
fn check_of(problem: &PackageError) -> Check {
    match problem {
        PackageError::NotGzip
        | PackageError::GzipHeader { .. }
        | PackageError::TrailingBytes { .. }
        | PackageError::Truncated { .. }
        | PackageError::Checksum { .. }
        | PackageError::Inflate { .. }
        | PackageError::TooLarge { .. }
        | PackageError::PathEscape { .. }
        | PackageError::AbsolutePath { .. }
        | PackageError::OddName { .. }
        | PackageError::SymbolicLink { .. }
        | PackageError::HardLink { .. }
        | PackageError::SpecialEntry { .. }
        | PackageError::Duplicate { .. }
        | PackageError::Extension { .. }
        | PackageError::Unsorted { .. }
        | PackageError::NotCanonical { .. }
        | PackageError::TrailingData { .. }
        | PackageError::TarHeader { .. }
        // Nothing is read from or written to a disk while an archive is checked.
        | PackageError::Io { .. }
        | PackageError::ExistingDiffers { .. } => Check::Form,
        PackageError::MissingFile { .. }
        | PackageError::UnexpectedFile { .. }
        | PackageError::ManifestUnreadable { .. }
        | PackageError::ManifestUnknownField { .. }
        | PackageError::ManifestFormat { .. }
        | PackageError::MetadataUnreadable { .. } => Check::Files,
        PackageError::DigestMismatch { .. } | PackageError::SizeMismatch { .. } => Check::Digests,
        PackageError::NotALibrary { .. } | PackageError::OtherMachine { .. } | PackageError::UnknownTarget { .. } => {
            Check::Library
        }
        PackageError::NoEntryPoint { .. } | PackageError::OtherAbi { .. } => Check::EntryPoint,
        PackageError::NoWorkflow { .. }
        | PackageError::DescriptorUnreadable { .. }
        | PackageError::Mistakes { .. } => Check::Descriptor,
        PackageError::ManifestDisagrees { .. }
        | PackageError::MetadataDisagrees { .. }
        | PackageError::LibrariesDisagree(_)
        // Said of what is to be written, not of what is read.
        | PackageError::MergeDiffers(_)
        | PackageError::MergeTwice { .. }
        | PackageError::TargetTwice { .. } => Check::Agreement,
        PackageError::NoLibraryForTarget { .. } => Check::Machine,
        PackageError::DependencyNotAllowed { .. } => Check::Needed,
        PackageError::GlibcTooNew { .. } => Check::Glibc,
        PackageError::SearchPath { .. } => Check::SearchPath,
        PackageError::ExecutableStack { .. } => Check::Stack,
    }
}
