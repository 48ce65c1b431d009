//! The graph of a module: which task waits for which, and what is wrong with it.
//!
//! Finds everything at once: unknown and doubled dependencies, a task that waits for itself, every cycle with its path,
//! and trigger rules that name tasks which may not have ended. Loops, no recursion: a chain of tasks may be as long
//! as the compiler can bear.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;

use crate::{
    ast::{Function, Module, Task},
    attr::{self, Reference},
    mistakes::Mistakes,
    suggest,
};

/// The tasks of a module by what others may call them.
pub(crate) struct Names<'a> {
    tasks: &'a [Task],
    functions: &'a [Function],
    by_id: BTreeMap<&'a str, usize>,
    by_function: BTreeMap<String, usize>,
    /// Ids that were written so wrongly that they could not be read.
    claimed: BTreeSet<&'a str>,
}

/// For every task its dependencies, each with the place in the attribute that names it; `None` stands for a task that
/// was not found.
type Edges<'a> = Vec<Vec<(Option<usize>, &'a Reference)>>;

impl<'a> Names<'a> {
    pub(crate) fn new(module: &'a Module) -> Self {
        let mut by_id = BTreeMap::new();
        let mut by_function = BTreeMap::new();
        for (place, task) in module.tasks.iter().enumerate() {
            by_id.entry(task.id.value.as_str()).or_insert(place);
            by_function.entry(task.function().unraw().to_string()).or_insert(place);
        }
        let claimed = module.tasks.iter().flat_map(|task| &task.attributes.claimed).map(String::as_str).collect();
        Self { tasks: &module.tasks, functions: &module.functions, by_id, by_function, claimed }
    }

    pub(crate) fn find(&self, reference: &Reference) -> Option<usize> {
        match reference {
            Reference::Function(ident) => self.by_function.get(&ident.unraw().to_string()).copied(),
            Reference::Id(id) => self.by_id.get(id.value.as_str()).copied(),
        }
    }

    /// The id that a reference means.
    pub(crate) fn id(&self, reference: &Reference) -> String {
        match self.find(reference) {
            Some(place) => self.tasks[place].id.value.clone(),
            None => written(reference),
        }
    }

    /// Why a reference finds nothing, or `None` where another message already says so.
    fn explain(&self, reference: &Reference) -> Option<String> {
        match reference {
            Reference::Function(ident) => {
                let name = ident.unraw().to_string();
                if let Some(place) = self.by_id.get(name.as_str()) {
                    let function = self.tasks[*place].function();
                    return Some(format!(
                        "`{name}` is the id of the task function `{function}`: write `\"{name}\"` or `{function}`"
                    ));
                }
                if self.functions.iter().any(|function| function.signature.ident == *ident) {
                    return Some(format!("the function `{name}` is not a task; mark it with #[task]"));
                }
                let hint = suggest::hint(&name, self.by_function.keys().map(String::as_str));
                Some(format!("there is no task function `{name}` in this module{hint}"))
            }
            Reference::Id(id) if self.claimed.contains(id.value.as_str()) => None,
            Reference::Id(id) if id.value.contains("::") => Some(attr::OTHER_MODULE.to_owned()),
            Reference::Id(id) => {
                let name = &id.value;
                if let Some(place) = self.by_function.get(name) {
                    let id = &self.tasks[*place].id.value;
                    return Some(format!("unknown task `{name}`; the id of the function `{name}` is `{id}`"));
                }
                let hint = suggest::hint(name, self.by_id.keys().copied());
                Some(format!("unknown task `{name}`{hint}"))
            }
        }
    }
}

/// Reports every mistake of the graph.
pub(crate) fn check(module: &Module, mistakes: &mut Mistakes) {
    let names = Names::new(module);
    duplicates(&module.tasks, mistakes);
    let edges: Edges<'_> = module
        .tasks
        .iter()
        .map(|task| task.attributes.dependencies.iter().map(|reference| (names.find(reference), reference)).collect())
        .collect();
    for (place, parents) in edges.iter().enumerate() {
        dependencies(place, parents, &names, mistakes);
    }
    cycles(&module.tasks, &edges, mistakes);
    for (place, task) in module.tasks.iter().enumerate() {
        let references = task.attributes.trigger_rules.as_ref().map(|rule| rule.references()).unwrap_or_default();
        rule_references(place, &references, &names, &edges, mistakes);
    }
}

fn duplicates(tasks: &[Task], mistakes: &mut Mistakes) {
    let mut first: BTreeMap<&str, &Task> = BTreeMap::new();
    for task in tasks {
        let id = task.id.value.as_str();
        let Some(owner) = first.get(id) else {
            first.insert(id, task);
            continue;
        };
        // Two functions of one name are the compiler's to report.
        if owner.function() != task.function() {
            let message = format!("the task id `{id}` is already taken by the function `{}`", owner.function());
            mistakes.push(&task.id.tokens, message);
        }
    }
}

fn dependencies(place: usize, parents: &[(Option<usize>, &Reference)], names: &Names<'_>, mistakes: &mut Mistakes) {
    let mut seen = BTreeSet::new();
    for (parent, reference) in parents {
        match parent {
            None => {
                if let Some(message) = names.explain(reference) {
                    mistakes.push(tokens(reference), message);
                }
            }
            Some(parent) if *parent == place => {
                mistakes.push(tokens(reference), format!("the task `{}` depends on itself", names.id(reference)));
            }
            Some(parent) if !seen.insert(*parent) => {
                mistakes.push(tokens(reference), format!("the dependency `{}` is listed twice", names.id(reference)));
            }
            Some(_) => {}
        }
    }
}

/// A task's state in the search for cycles.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Mark {
    New,
    OnPath,
    Done,
}

/// Depth first from every task; each dependency on a task that is on the path closes a cycle. A cycle is reported once,
/// at the dependency that closes it, unless all its tasks stand in cycles that were reported before.
fn cycles(tasks: &[Task], edges: &Edges<'_>, mistakes: &mut Mistakes) {
    let mut marks = vec![Mark::New; tasks.len()];
    let mut reported = BTreeSet::new();
    for start in 0..tasks.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((place, next)) = path.last_mut() {
            let place = *place;
            let Some((parent, reference)) = edges[place].get(*next) else {
                marks[place] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            let Some(parent) = *parent else { continue };
            match marks[parent] {
                Mark::New => {
                    marks[parent] = Mark::OnPath;
                    path.push((parent, 0));
                }
                Mark::OnPath if parent != place => {
                    let from = path.iter().position(|(on_path, _)| *on_path == parent).unwrap_or(0);
                    let members: Vec<usize> = path[from..].iter().map(|(on_path, _)| *on_path).collect();
                    if members.iter().any(|member| !reported.contains(member)) {
                        mistakes.push(tokens(reference), cycle_message(tasks, &members));
                        reported.extend(members);
                    }
                }
                Mark::OnPath | Mark::Done => {}
            }
        }
    }
}

fn cycle_message(tasks: &[Task], members: &[usize]) -> String {
    let first = members.first().copied();
    let ids: Vec<&str> = members.iter().copied().chain(first).map(|member| tasks[member].id.value.as_str()).collect();
    format!("these tasks wait for each other: {}", ids.join(" -> "))
}

/// A rule is evaluated when all dependencies have ended, so it may only name tasks that have ended by then.
fn rule_references(
    place: usize,
    references: &[&Reference],
    names: &Names<'_>,
    edges: &Edges<'_>,
    mistakes: &mut Mistakes,
) {
    if references.is_empty() {
        return;
    }
    let mut ancestors = BTreeSet::new();
    let mut is_complete = true;
    let mut waiting = vec![place];
    while let Some(next) = waiting.pop() {
        for (parent, _) in &edges[next] {
            match parent {
                Some(parent) if ancestors.insert(*parent) => waiting.push(*parent),
                Some(_) => {}
                None => is_complete = false,
            }
        }
    }
    for reference in references {
        match names.find(reference) {
            None => {
                if let Some(message) = names.explain(reference) {
                    mistakes.push(tokens(reference), message);
                }
            }
            Some(named) if named == place => {
                mistakes.push(tokens(reference), "a task's trigger rule cannot name the task itself");
            }
            // With an unknown dependency the ancestors are not known; that mistake is reported already.
            Some(named) if is_complete && !ancestors.contains(&named) => {
                let id = &names.tasks[named].id.value;
                let message = format!("`{id}` is not upstream of this task; add it to `dependencies`");
                mistakes.push(tokens(reference), message);
            }
            Some(_) => {}
        }
    }
}

fn tokens(reference: &Reference) -> TokenStream {
    match reference {
        Reference::Function(ident) => ident.to_token_stream(),
        Reference::Id(id) => id.tokens.clone(),
    }
}

fn written(reference: &Reference) -> String {
    match reference {
        Reference::Function(ident) => ident.unraw().to_string(),
        Reference::Id(id) => id.value.clone(),
    }
}
