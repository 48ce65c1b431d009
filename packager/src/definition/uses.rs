//! What a task of a definition names in `uses`: a function of a package, or a built-in.
//!
//! Only the text is looked at. A function has three names and may have a version; every other text names a built-in.

use std::fmt;

/// What runs when a task of a definition runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uses {
    /// A built-in of that name.
    BuiltIn(String),
    /// A function of a package.
    Function(FunctionName),
}

/// A task of a workflow of a package, whose function runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionName {
    /// The name of the package.
    pub package: String,
    /// The name of its workflow.
    pub workflow: String,
    /// The id of the task.
    pub task: String,
    /// Its version, or `sha256:` and the digits of its digest; without it, the version that new runs get.
    pub version: Option<String>,
}

impl Uses {
    /// Reads the text. A name with one or with more than two `::` is none of both.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned()).filter(|version| !version.is_empty())),
            None => (text, None),
        };
        let is_whole = version.is_some() == text.contains('@');
        match *name.split("::").collect::<Vec<_>>() {
            [built_in] if version.is_none() && is_whole => Some(Self::BuiltIn(built_in.to_owned())),
            [package, workflow, task] if is_whole && ![package, workflow, task].contains(&"") => {
                let [package, workflow, task] = [package, workflow, task].map(str::to_owned);
                Some(Self::Function(FunctionName { package, workflow, task, version }))
            }
            _ => None,
        }
    }
}

impl FunctionName {
    /// The package as it is looked for: with its version, if one is named.
    #[must_use]
    pub fn package_label(&self) -> String {
        match &self.version {
            Some(version) if version.starts_with("sha256:") => version.clone(),
            Some(version) => format!("{}@{version}", self.package),
            None => self.package.clone(),
        }
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, workflow, task, version } = self;
        write!(formatter, "{package}::{workflow}::{task}")?;
        version.as_ref().map_or(Ok(()), |version| write!(formatter, "@{version}"))
    }
}
