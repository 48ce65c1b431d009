//! The audit log: listing, checking and exporting it.
//!
//! Entries are written where accounts, keys and sessions change; no route writes one.

use axum::{
    Json as Shown,
    body::Body,
    extract::OriginalUri,
    http::header,
    response::{IntoResponse, Response},
};
use cloacina::{Access, AuditCheck, AuditRecord};
use futures_util::{StreamExt, stream};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::Shared,
    asker::Asker,
    body::Parameters,
    listed::{Listed, PageQuery},
    problem::{Problem, Problems},
    refused::Refused,
};

/// Entries that an export reads at once.
const EXPORTED: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(verify)).routes(routes!(export))
}

/// The audit log of the caller's tenant, newest first; for a caller who sees every tenant, of what concerns every tenant.
#[utoipa::path(get, path = "/audit", tag = "access", operation_id = "audit_list", params(PageQuery), responses(
    (status = 200, description = "A page of entries.", body = [AuditRecord],
        headers(("link" = String, description = "The address of the next page, if there is one, as `<…>; rel=\"next\"`."))),
    Problems,
))]
async fn list(
    asker: Asker,
    OriginalUri(uri): OriginalUri,
    Parameters(page): Parameters<PageQuery>,
) -> Result<Listed<AuditRecord>, Problem> {
    let (n_max, before) = page.place()?;
    let entries = asker.access().audit(before.map(cursor).transpose()?, n_max).await?;
    Ok(Listed::up_to(n_max, entries, &uri, |last| (last.number > 1).then(|| last.number.to_string())))
}

fn cursor(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::Parameter { part: "query", reason: "the cursor is none of this list".to_owned() })
}

/// Checks that no entry of the log was changed or is missing.
#[utoipa::path(get, path = "/audit/verify", tag = "access", operation_id = "audit_verify", responses(
    (status = 200, description = "What came of it.", body = AuditCheck),
    Problems,
))]
async fn verify(asker: Asker) -> Result<Shown<AuditCheck>, Problem> {
    Ok(Shown(asker.access().audit_check().await?))
}

/// The whole log, oldest first, an entry in each line.
#[utoipa::path(get, path = "/audit/export", tag = "access", operation_id = "audit_export", responses(
    (status = 200, description = "The entries, as lines of JSON.", body = String, content_type = "application/x-ndjson"),
    Problems,
))]
async fn export(asker: Asker) -> Result<Response, Problem> {
    let access = asker.access();
    // What is refused is refused before the answer begins.
    let first = lines(&access, 0).await?;
    let pages = stream::unfold(Some((access, first)), |state| async {
        let (access, (text, last)) = state?;
        let next = match last {
            None => Ok(None),
            Some(last) => lines(&access, last).await.map(Some),
        };
        let ends = text.is_empty();
        match next {
            _ if ends => None,
            Ok(next) => Some((Ok(text), next.map(|next| (access, next)))),
            // The answer breaks off, so that nobody takes it for whole.
            Err(problem) => Some((Err(std::io::Error::other(problem.detail().to_owned())), None)),
        }
    });
    // What compresses the answer asks once more after the end.
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages.fuse())).into_response())
}

/// The entries after that number as lines, and the number of the last of them.
async fn lines(access: &Access, after: i64) -> Result<(String, Option<i64>), Problem> {
    let entries = access.audit_from(after, EXPORTED).await?;
    let mut text = String::new();
    for entry in &entries {
        // Texts and numbers are always JSON.
        text.push_str(&serde_json::to_string(entry).unwrap_or_default());
        text.push('\n');
    }
    Ok((text, entries.last().map(|entry| entry.number)))
}
