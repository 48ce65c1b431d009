//! The verb: reads the archive, has every rule examined, and reports.
//!
//! No code of the package runs in this process. A task that cannot complete one ordinary call is left out of what
//! follows: it would break every other rule for the same reason. What could not be looked at is said to be so.

use std::collections::BTreeSet;
use std::path::Path;

use cloacina_packager::library::GlibcVersion;
use cloacina_packager::{Package, ReadOptions, Target, Verified};
use cloacina_workflow::descriptor::Descriptor;

use super::child;
use super::message::{Question, Subject};
use super::report::{Examined, Remark, Report};
use super::rule::{RULES, Rule};
use crate::cli::TestArgs;
use crate::error::Error;
use crate::exit;
use crate::isolation::sandbox;
use crate::output::Output;
use crate::package::place;
use crate::run::read_value_of;

/// Examines an archive.
pub(crate) fn test(arguments: &TestArgs, output: &Output) -> Result<u8, Error> {
    let values = read_value_of("--context", arguments.context.as_deref())?;
    let bytes = place::read(&arguments.file)?;
    let options = ReadOptions {
        target: Target::host(),
        allowed_libraries: arguments.allow_library.clone(),
        glibc_available: GlibcVersion::of_this_process(),
        ..ReadOptions::default()
    };
    let package = match cloacina_packager::read_with(&bytes, &options) {
        Ok(package) => package,
        Err(refusal) => {
            let finding = Remark { task: None, what: format!("{}: {refusal}", refusal.code()) };
            let mut rules = vec![Examined::new(Rule::Archive, vec![finding], Vec::new())];
            rules.extend(RULES[1..].iter().map(|rule| Examined::not_reached(*rule)));
            return answer(&Report::new(&arguments.file, None, rules), output);
        }
    };
    let descriptor = package.descriptor();
    let subjects = choose(subjects(descriptor), arguments.task.as_deref(), &descriptor.package)?;
    let name = (descriptor.package.clone(), descriptor.version.clone());
    output.note(&format!(
        "this runs the code of {} on this machine, with your rights: each of its tasks about 30 times",
        arguments.file.display()
    ));
    let (folder, scratch) = (place::temporary_folder()?, place::temporary_folder()?);
    let question = Question {
        rule: Rule::Archive,
        subject: subjects[0].clone(),
        descriptor: serde_json::to_string(descriptor).expect("invariant: a descriptor was read from JSON"),
        free_index: free_index(descriptor),
        values,
        sandbox: sandbox(arguments.sandbox),
        scratch: scratch.path().to_owned(),
        patience_ms: arguments.timeout.saturating_mul(1_000),
        library: unpack(package, folder.path())?,
    };
    let rules = Bench { question, subjects, output, refused: BTreeSet::new() }.examine()?;
    answer(&Report::new(&arguments.file, Some(name), rules), output)
}

fn answer(report: &Report, output: &Output) -> Result<u8, Error> {
    output.answer(report, |paint| report.text(paint))?;
    Ok(if report.passed { exit::SUCCESS } else { exit::FAILED })
}

fn unpack(package: Package, folder: &Path) -> Result<std::path::PathBuf, Error> {
    // The user of this command has been told that it runs the code, and no engine will ever see the file.
    Ok(Verified::trust_unsigned(package).unpack_into(folder)?)
}

/// The tasks and callbacks of all workflows.
fn subjects(descriptor: &Descriptor) -> Vec<Subject> {
    let of_workflows = descriptor.workflows.iter().flat_map(|workflow| {
        let name = |id: &str| format!("{}.{id}", workflow.name);
        let tasks = workflow.tasks.iter().map(move |task| (name(&task.id), task.index, task.blocking, false));
        let callbacks = workflow.callbacks.iter();
        tasks.chain(callbacks.map(move |callback| (name(&callback.name), callback.index, callback.blocking, true)))
    });
    let subject = |(name, index, blocking, is_callback)| Subject { name, index, blocking, is_callback };
    of_workflows.map(subject).collect()
}

/// The one that was named, by itself or with its workflow; all, if none was.
fn choose(subjects: Vec<Subject>, named: Option<&str>, package: &str) -> Result<Vec<Subject>, Error> {
    let Some(named) = named else { return Ok(subjects) };
    let is_named = |subject: &&Subject| {
        subject.name == named || subject.name.split_once('.').is_some_and(|(_, task)| task == named)
    };
    let chosen: Vec<Subject> = subjects.iter().filter(is_named).cloned().collect();
    match chosen.as_slice() {
        [] => {
            let available = subjects.into_iter().map(|subject| subject.name).collect();
            Err(Error::UnknownPackageTask { package: package.to_owned(), task: named.to_owned(), available })
        }
        _ => Ok(chosen),
    }
}

/// The smallest index that nothing has.
fn free_index(descriptor: &Descriptor) -> u32 {
    let taken: BTreeSet<u32> = subjects(descriptor).iter().map(|subject| subject.index).collect();
    (0..).find(|index| !taken.contains(index)).unwrap_or(u32::MAX)
}

/// A package on the bench.
struct Bench<'a> {
    question: Question,
    subjects: Vec<Subject>,
    output: &'a Output,
    /// System calls that the sandbox refused, with the caller.
    refused: BTreeSet<(String, String)>,
}

impl Bench<'_> {
    fn examine(&mut self) -> Result<Vec<Examined>, Error> {
        let live = self.output.live("{spinner} {msg} {pos}/{len}");
        let mut examined: Vec<Examined> = vec![Examined::new(Rule::Archive, Vec::new(), Vec::new())];
        let mut is_usable = true;
        for (place, rule) in RULES.into_iter().enumerate().skip(1) {
            live.set(rule.about());
            live.set_position(place as u64, RULES.len() as u64);
            if !is_usable {
                examined.push(Examined::not_reached(rule));
                continue;
            }
            let result = match rule {
                Rule::Sandbox => self.refusals(),
                rule => self.examine_rule(rule)?,
            };
            // Without these there is no package to call.
            is_usable = result.is_passed() || !matches!(rule, Rule::Table | Rule::Init);
            is_usable &= !self.subjects.is_empty();
            examined.push(result);
        }
        Ok(examined)
    }

    /// What all the children were refused.
    fn refusals(&self) -> Examined {
        let remark = |(task, what): &(String, String)| Remark { task: Some(task.clone()), what: what.clone() };
        Examined::new(Rule::Sandbox, self.refused.iter().map(remark).collect(), Vec::new())
    }

    fn examine_rule(&mut self, rule: Rule) -> Result<Examined, Error> {
        let (mut findings, mut notes) = (Vec::new(), Vec::new());
        let subjects = match rule.is_of_tasks() {
            true => self.subjects.clone(),
            false => vec![self.subjects[0].clone()],
        };
        for subject in subjects {
            let task = rule.is_of_tasks().then(|| subject.name.clone());
            let answer = child::ask(&Question { rule, subject: subject.clone(), ..self.question.clone() })?;
            self.refused.extend(answer.refused.into_iter().map(|call| (subject.name.clone(), call)));
            let remark = |what| Remark { task: task.clone(), what };
            if rule == Rule::Completes && !answer.findings.is_empty() {
                // It would break every rule that follows for the same reason, and perhaps take its time for that.
                self.subjects.retain(|other| *other != subject);
            }
            findings.extend(answer.findings.into_iter().map(remark));
            notes.extend(answer.notes.into_iter().map(remark));
        }
        Ok(Examined::new(rule, findings, notes))
    }
}
