//! One archive out of several that hold the same package for different targets.
//!
//! The libraries must say the same of themselves but for how they were built, and the archives the same of their
//! origin; what differs is named. The order in which archives are given makes no difference to the result.

use std::collections::BTreeMap;

use cloacina_workflow::descriptor::Descriptor;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Difference, Error};
use crate::metadata::{BuildFacts, Metadata, Origin};
use crate::package::{Package, Placed, SBOM, write_placed};

/// A package, and what its archive is called where it differs from another.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The name of the archive, as in errors.
    pub name: &'a str,
    /// What was read from it.
    pub package: &'a Package,
}

/// Writes the archive that holds the libraries of all parts.
pub fn merge(parts: &[Part<'_>]) -> Result<Vec<u8>, Error> {
    let Some(first) = parts.first() else {
        return Err(Error::MissingFile { entry: "lib/".to_owned() });
    };
    for other in &parts[1..] {
        if let Some((field, in_first, in_other)) = difference(first.package, other.package) {
            let (first, other) = (first.name.to_owned(), other.name.to_owned());
            return Err(Error::MergeDiffers(Box::new(Difference { first, other, field, in_first, in_other })));
        }
    }
    let mut libraries: Vec<(&str, Placed)> = Vec::new();
    for part in parts {
        for library in part.package.placed() {
            if let Some((holder, _)) = libraries.iter().find(|(_, known)| known.target == library.target) {
                let (target, first, other) = (library.target, (*holder).to_owned(), part.name.to_owned());
                return Err(Error::MergeTwice { target: target.to_string(), first, other });
            }
            libraries.push((part.name, library));
        }
    }
    let metadata = first.package.metadata();
    let origin = Origin {
        authors: metadata.authors.clone(),
        description: metadata.description.clone(),
        license: metadata.license.clone(),
        profile: metadata.build.profile.clone(),
        source_revision: metadata.build.source_revision.clone(),
    };
    let sbom = first.package.files().get(SBOM).map(<[u8]>::to_vec);
    write_placed(libraries.into_iter().map(|(_, library)| library).collect(), &origin, sbom)
}

/// The first thing that two archives say differently, though they should not.
fn difference(one: &Package, other: &Package) -> Option<(String, String, String)> {
    // The compiler is that of the target, and may well be another.
    let comparable = |metadata: &Metadata| Metadata {
        build: BuildFacts { toolchain: None, ..metadata.build.clone() },
        ..metadata.clone()
    };
    let sbom = |package: &Package| package.files().get(SBOM).map(crate::Digest::of).map(|digest| digest.to_string());
    // What a package is called comes first, whatever else differs then.
    let called = |package: &Package| {
        BTreeMap::from([("name", package.metadata().name.clone()), ("version", package.metadata().version.clone())])
    };
    values_differ(&called(one), &called(other))
        .or_else(|| values_differ(&comparable(one.metadata()), &comparable(other.metadata())))
        .or_else(|| descriptors_differ(one.descriptor(), other.descriptor()))
        .or_else(|| values_differ(&sbom(one), &sbom(other)).map(|(_, one, other)| (SBOM.to_owned(), one, other)))
}

/// The first thing that two libraries of one package say differently, but for how they were built.
pub(crate) fn descriptors_differ(one: &Descriptor, other: &Descriptor) -> Option<(String, String, String)> {
    let comparable = |descriptor: &Descriptor| Descriptor { build: None, ..descriptor.clone() };
    values_differ(&comparable(one), &comparable(other))
}

fn values_differ(one: &impl Serialize, other: &impl Serialize) -> Option<(String, String, String)> {
    let [one, other] = [serde_json::to_value(one), serde_json::to_value(other)].map(Result::ok);
    first_difference("", one.as_ref(), other.as_ref())
}

/// The path of the first value that differs, and both values as text.
fn first_difference(path: &str, one: Option<&Value>, other: Option<&Value>) -> Option<(String, String, String)> {
    let join = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    match (one, other) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut keys: Vec<_> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| first_difference(&join(key), one.get(key), other.get(key)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(place, (one, other))| first_difference(&format!("{path}[{place}]"), Some(one), Some(other))),
        (one, other) if one == other => None,
        (one, other) => Some((path.to_owned(), shown(one), shown(other))),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "absent".to_owned(),
        Some(Value::Array(items)) => format!("a list of {}", items.len()),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}
