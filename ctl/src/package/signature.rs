//! The signatures beside an archive, and their signers.
//!
//! [`Policy::check`] decides which signatures count: with `--key` every named key must have signed; without, the keys in the
//! user's folder name the signers, and a wrong signature by one of them is a failure.

use std::fs;
use std::path::{Path, PathBuf};

use cloacina_packager::sign::{Policy, Scope, SignError, Signature, Signer, TrustedKey};
use cloacina_packager::{Package, ReadOptions};
use cloacina_workflow::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::place;
use crate::cli::VerifyArgs;
use crate::config::Config;
use crate::error::Error;
use crate::key::Ring;
use crate::output::Problem;

/// A key that has signed the archive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedBy {
    /// The name of the key in the user's folder of keys. Absent if the folder does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The id of the key, 16 hexadecimal digits.
    key: String,
}

/// What is known of an archive's signatures.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    pub(super) signed_by: Vec<SignedBy>,
    pub(super) problems: Vec<Problem>,
    /// Whether there was anything to check.
    pub(super) is_checked: bool,
}

impl Signatures {
    /// Checks the signatures beside the archive.
    pub(super) fn check(arguments: &VerifyArgs, archive: &[u8], config: &Config) -> Result<Self, Error> {
        let (signatures, mut problems) = beside(&arguments.file)?;
        let package = cloacina_packager::read_with(archive, &ReadOptions::default());
        let is_checked = !arguments.key.is_empty() || !signatures.is_empty() || !problems.is_empty();
        // A file that is not a package is reported elsewhere.
        let (Ok(package), true) = (package, is_checked) else { return Ok(Self::default()) };
        let policy = policy(arguments, config)?;
        let signers = match check_policy(&policy, archive, &package, &signatures) {
            Ok(signers) => signers,
            Err(problem) => {
                problems.push(problem);
                Vec::new()
            }
        };
        let name = |signature: &Signature| {
            let signer = signers.iter().find(|signer| signer.key == signature.key_id());
            signer.map(|signer| signer.name.clone())
        };
        let signed_by = signatures
            .iter()
            .map(|signature| SignedBy { name: name(signature), key: signature.key_id().to_string() })
            .collect();
        Ok(Self { signed_by, problems, is_checked })
    }

    /// The lines that tell people.
    pub(super) fn text(&self) -> String {
        let lines = self.signed_by.iter().map(|by| match &by.name {
            Some(name) => format!("signed by {name} ({})\n", by.key),
            None => format!("signed by {}, an unknown key: name the key with --key\n", by.key),
        });
        lines.collect()
    }
}

fn check_policy(
    policy: &Policy,
    archive: &[u8],
    package: &Package,
    signatures: &[Signature],
) -> Result<Vec<Signer>, Problem> {
    let checked = policy.check(archive, package, signatures, Timestamp::now());
    checked.map_err(|untrusted| Problem::new(untrusted.code(), untrusted.to_string(), Vec::new(), untrusted.hints()))
}

fn policy(arguments: &VerifyArgs, config: &Config) -> Result<Policy, Error> {
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config);
    let trusted = |name: String, key| {
        let scopes = vec![Scope::All];
        TrustedKey { name, key, scopes, expires_at: None, revoked_at: None }
    };
    if arguments.key.is_empty() {
        let Ok(ring) = ring else { return Ok(Policy::default()) };
        let known = ring.names()?.into_iter();
        let keys = known.filter_map(|(name, _)| ring.public(&name).ok().map(|key| trusted(name, key))).collect();
        return Ok(Policy { required: 0, keys });
    }
    let ring = ring?;
    let mut keys: Vec<TrustedKey> = Vec::new();
    for name in &arguments.key {
        let key = ring.public(name)?;
        if !keys.iter().any(|known| known.key == key) {
            keys.push(trusted(name.clone(), key));
        }
    }
    Ok(Policy { required: keys.len(), keys })
}

/// The signatures that lie beside an archive, as they are; the engine that takes the archive checks them.
pub(crate) fn read_beside(archive: &Path) -> Result<Vec<Vec<u8>>, Error> {
    paths_beside(archive)?.iter().map(|path| place::read(path)).collect()
}

fn beside(archive: &Path) -> Result<(Vec<Signature>, Vec<Problem>), Error> {
    let (mut signatures, mut problems) = (Vec::new(), Vec::new());
    for path in paths_beside(archive)? {
        let text = String::from_utf8_lossy(&place::read(&path)?).into_owned();
        match Signature::from_text(&text) {
            Ok(signature) => signatures.push(signature),
            Err(error) => problems.push(of_file(&path, &error)),
        }
    }
    Ok((signatures, problems))
}

/// `<archive>.minisig` and `<archive>.<key id>.minisig`, in order.
fn paths_beside(archive: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = place::folder(archive);
    let failed = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let found = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if found.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.') && rest.ends_with(".minisig")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn of_file(path: &Path, error: &SignError) -> Problem {
    Problem::new(error.code(), format!("`{}`: {error}", path.display()), Vec::new(), error.hints())
}
