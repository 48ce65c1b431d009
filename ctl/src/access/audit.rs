//! `audit list`, `verify` and `export`: the log of who changed who may ask.
//!
//! The log is that of one tenant, or of what concerns every tenant. The commands read it and never change it.

use cloacina::{AuditCheck, AuditRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::ask;
use crate::cli::{ActorArgs, AuditExportArgs, AuditListArgs, AuditVerifyArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// The newest entries of an audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The entries, newest first.
    entries: Vec<AuditRecord>,
}

impl Document for Listed {}
impl Document for AuditCheck {}
impl Document for AuditRecord {}

/// Lists the newest entries.
pub(crate) fn list(arguments: &AuditListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let AuditListArgs { limit, log, database } = arguments;
    let by = ActorArgs::default();
    let tenant = log.tenant.as_deref();
    let entries = ask((database, &by), tenant, (output, config), async |access| access.audit(*limit).await)?;
    let listed = Listed { entries };
    output.answer(&listed, |paint| listed.entries.iter().map(|entry| line(entry, paint)).collect())?;
    Ok(exit::SUCCESS)
}

/// Checks the chain of a log.
pub(crate) fn verify(arguments: &AuditVerifyArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let AuditVerifyArgs { log, database } = arguments;
    let by = ActorArgs::default();
    let tenant = log.tenant.as_deref();
    let check = ask((database, &by), tenant, (output, config), async |access| access.audit_check().await)?;
    output.answer(&check, |paint| match check.broken {
        Some(number) => format!("{} entry {number} was changed or is missing\n", paint.red("broken:")),
        None => format!("intact: {} entries{}\n", check.entries, digest(&check)),
    })?;
    Ok(if check.is_intact { exit::SUCCESS } else { exit::FAILED })
}

fn digest(check: &AuditCheck) -> String {
    check.digest.as_ref().map(|digest| format!(", the newest has the digest {digest}")).unwrap_or_default()
}

/// Prints a whole log.
pub(crate) fn export(arguments: &AuditExportArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let AuditExportArgs { log, database } = arguments;
    let by = ActorArgs::default();
    let tenant = log.tenant.as_deref();
    let entries = ask((database, &by), tenant, (output, config), async |access| access.audit_all().await)?;
    for entry in &entries {
        output.part(entry, |paint| line(entry, paint))?;
    }
    Ok(exit::SUCCESS)
}

fn line(entry: &AuditRecord, paint: Paint) -> String {
    let AuditRecord { number, at, actor, action, subject, result, .. } = entry;
    let result = if result == "done" { String::new() } else { format!("  {}", paint.red(result)) };
    let address = entry.address.as_ref().map(|address| format!(" from {address}")).unwrap_or_default();
    let detail = entry.detail.as_ref().map(|detail| format!("  {detail}")).unwrap_or_default();
    format!("{number:>6}  {}  {action:16}  {actor}{address}  {subject}{detail}{result}\n", paint.dim(&at.to_string()))
}
