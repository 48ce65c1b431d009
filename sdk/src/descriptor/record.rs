//! Records in the link section: found, bounds checked and merged.
//!
//! ```text
//! section  = record*                        each record starts at a multiple of 8 bytes from the section's start
//! record   = magic "CLCNPKG1", format u32, json_len u32, json, zeros up to the next multiple of 8
//! ```
//! A record without JSON is an anchor of the sdk. Indices in a record count its own functions; merging orders the
//! records by the name of their first workflow and moves each record's indices behind those of the records before.

use super::{Descriptor, Error, FORMAT};

/// The first bytes of every record.
pub const MAGIC: [u8; 8] = *b"CLCNPKG1";
/// Bytes before the JSON: magic, format, length.
pub const HEADER_BYTES: usize = 16;
/// Records start at multiples of this.
pub const RECORD_ALIGN: usize = 8;
/// The section's name in ELF files.
pub const SECTION: &str = "cloacina";

impl Descriptor {
    /// Reads and merges all records of a library's section.
    ///
    /// # Errors
    /// Malformed records, records of other formats, records that disagree, or none at all.
    pub fn from_section(section: &[u8]) -> Result<Self, Error> {
        let descriptors = records(section)?.into_iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        merge(descriptors)
    }
}

/// The JSON texts of the records in a section.
fn records(section: &[u8]) -> Result<Vec<&str>, Error> {
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(rest) = section.get(offset..).filter(|rest| !rest.is_empty()) {
        // Linkers may pad between the records of two object files.
        if rest.len() < HEADER_BYTES || rest[..RECORD_ALIGN] == [0; RECORD_ALIGN] {
            let padding = rest.len().min(RECORD_ALIGN);
            if rest[..padding].iter().any(|&byte| byte != 0) {
                return Err(Error::NoRecord { offset });
            }
            offset += padding;
            continue;
        }
        if rest[..MAGIC.len()] != MAGIC {
            return Err(Error::NoRecord { offset });
        }
        let format = number(rest, 8);
        if format != FORMAT {
            return Err(Error::Format { found: format });
        }
        let json_len = usize::try_from(number(rest, 12)).map_err(|_| Error::Truncated { offset })?;
        let json = rest[HEADER_BYTES..].get(..json_len).ok_or(Error::Truncated { offset })?;
        if !json.is_empty() {
            found.push(std::str::from_utf8(json).map_err(|error| Error::Json { reason: error.to_string() })?);
        }
        offset += (HEADER_BYTES + json_len).next_multiple_of(RECORD_ALIGN);
    }
    Ok(found)
}

/// The little-endian number at that byte of a header whose length was checked.
fn number(header: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// One descriptor out of the records of one library.
fn merge(mut descriptors: Vec<Descriptor>) -> Result<Descriptor, Error> {
    descriptors.sort_by(|one, other| one.sort_key().cmp(other.sort_key()));
    let mut descriptors = descriptors.into_iter();
    let mut merged = descriptors.next().ok_or(Error::Empty)?;
    for descriptor in descriptors {
        agree(&merged, &descriptor)?;
        let base =
            u32::try_from(merged.n_functions()).map_err(|_| Error::Json { reason: "too many tasks".to_owned() })?;
        merged.description = merged.description.or_else(|| descriptor.description.clone());
        merged.author = merged.author.or_else(|| descriptor.author.clone());
        merged.workflows.extend(shifted(descriptor, base)?.workflows);
    }
    merged.workflows.sort_by(|one, other| one.name.cmp(&other.name));
    match merged.workflows.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Error::Duplicate { workflow: pair[0].name.clone() }),
        None => Ok(merged),
    }
}

/// Two records of one library must say the same of package and build.
fn agree(first: &Descriptor, second: &Descriptor) -> Result<(), Error> {
    let facts = |descriptor: &Descriptor| {
        let build = descriptor.build.as_ref();
        let fact = |read: fn(&super::Build) -> String| build.map(read).unwrap_or_default();
        [
            ("package", descriptor.package.clone()),
            ("tenant", descriptor.tenant.clone().unwrap_or_default()),
            ("version", descriptor.version.clone()),
            ("abi", descriptor.abi.clone()),
            ("sdk", fact(|build| build.sdk.clone())),
            ("target", fact(|build| build.target.clone())),
            ("panic", fact(|build| format!("{:?}", build.panic))),
        ]
    };
    for ((member, one), (_, other)) in facts(first).into_iter().zip(facts(second)) {
        if one != other {
            let [first_name, second_name] = told_apart(first, second);
            return Err(Error::Disagree { member, first: (one, first_name), second: (other, second_name) });
        }
    }
    Ok(())
}

/// The names of two modules: those of their workflows, or the longest that there are where those are alike.
fn told_apart(first: &Descriptor, second: &Descriptor) -> [String; 2] {
    let is_alike = first.sort_key() == second.sort_key();
    [first, second].map(|descriptor| {
        let (workflow, package) = (descriptor.sort_key(), &descriptor.package);
        let tenant = descriptor.tenant.as_ref().map(|tenant| format!("{tenant}::")).unwrap_or_default();
        match is_alike {
            true => format!("{tenant}{package}::{workflow}@{}", descriptor.version),
            false => workflow.to_owned(),
        }
    })
}

/// The descriptor with all its indices moved up; a hand-written index may be anything, so overflow is an error.
fn shifted(mut descriptor: Descriptor, base: u32) -> Result<Descriptor, Error> {
    for workflow in &mut descriptor.workflows {
        let tasks = workflow.tasks.iter_mut().flat_map(|task| {
            [Some(&mut task.index), task.on_success.as_mut(), task.on_failure.as_mut()].into_iter().flatten()
        });
        for index in tasks.chain(workflow.callbacks.iter_mut().map(|callback| &mut callback.index)) {
            let moved = index.checked_add(base);
            *index = moved.ok_or_else(|| Error::Json { reason: format!("the index {index} is too large") })?;
        }
    }
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(u32::try_from(json.len()).unwrap().to_le_bytes());
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(RECORD_ALIGN), 0);
        bytes
    }

    fn module(workflow: &str, version: &str) -> String {
        format!(
            r#"{{"format":1,"abi":"1.0","package":"p","version":"{version}","workflows":[{{"name":"{workflow}",
            "tasks":[{{"id":"a","index":0,"on_failure":1}}],"callbacks":[{{"name":"c","index":1}}]}}]}}"#
        )
    }

    #[test]
    fn records_are_merged_by_name_whatever_their_order_and_padding() {
        let (first, second) = (record(&module("alpha", "1.0.0")), record(&module("beta", "1.0.0")));
        let anchor = record("");
        let forward = [anchor.clone(), first.clone(), vec![0; 24], second.clone()].concat();
        let backward = [second, first, anchor, vec![0; 5]].concat();
        let merged = Descriptor::from_section(&forward).unwrap();
        assert_eq!(merged, Descriptor::from_section(&backward).unwrap());
        let indices: Vec<_> = merged.workflows.iter().map(|w| (w.tasks[0].index, w.tasks[0].on_failure)).collect();
        assert_eq!(indices, [(0, Some(1)), (2, Some(3))]);
    }

    #[test]
    fn malformed_sections_are_refused_with_the_place() {
        let good = record(&module("alpha", "1.0.0"));
        let mut other_format = good.clone();
        other_format[8] = 9;
        let mut misspelled = good.clone();
        misspelled[0] = b'X';
        let cases = [
            (vec![], Error::Empty),
            (record(""), Error::Empty),
            (good[..40].to_vec(), Error::Truncated { offset: 0 }),
            (other_format, Error::Format { found: 9 }),
            (misspelled, Error::NoRecord { offset: 0 }),
            ([good.clone(), vec![1; 8]].concat(), Error::NoRecord { offset: good.len() }),
            ([good.clone(), good.clone()].concat(), Error::Duplicate { workflow: "alpha".to_owned() }),
        ];
        for (section, expected) in cases {
            assert_eq!(Descriptor::from_section(&section).unwrap_err(), expected);
        }
        let error = Descriptor::from_section(&[good, record(&module("beta", "2.0.0"))].concat()).unwrap_err();
        assert_eq!(error.to_string(), r#"the workflows disagree on version: "1.0.0" in alpha, "2.0.0" in beta"#);
        let alike = [record(&module("alpha", "1.0.0")), record(&module("alpha", "2.0.0"))].concat();
        let error = Descriptor::from_section(&alike).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the workflows disagree on version: "1.0.0" in p::alpha@1.0.0, "2.0.0" in p::alpha@2.0.0"#
        );
    }

    #[test]
    fn unknown_members_and_newer_formats_are_refused() {
        let misspelled = module("alpha", "1.0.0").replace("on_failure", "on_failures");
        assert!(
            matches!(Descriptor::parse(&misspelled), Err(Error::Json { reason }) if reason.contains("on_failures"))
        );
        let newer = module("alpha", "1.0.0").replace("\"format\":1", "\"format\":2,\"new\":1");
        assert_eq!(Descriptor::parse(&newer), Err(Error::Format { found: 2 }));
    }
}
