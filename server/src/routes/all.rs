//! All routes, and the description that is made from them.
//!
//! What is not in this table does not exist. The description is served as it is checked in, and so are the pages that show it.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{Method, Uri},
    middleware,
};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, tag::TagBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    audit, auth, error_page, health, key, package, run, run_control, run_ids, run_parts, tenant, user, workflow,
};
use crate::{
    adapters,
    app::Shared,
    auth::{Gate, Permissions, check_credential, with_credentials},
    live, problem,
    problem::Problem,
    refused::Refused,
};

/// Where the resources are.
pub(super) const BASE: &str = "/api/v1";

/// Where the description is.
const DESCRIPTION: &str = "/openapi.json";

/// What the tags of the description are about.
const TAGS: [(&str, &str); 7] = [
    ("runs", "Runs: submit, look at, steer, follow and delete them."),
    ("workflows", "Workflows: what can be run."),
    ("packages", "Packages: register, activate and withdraw versions."),
    ("access", "Access: tenants, users, API keys, and the audit log."),
    ("auth", "Login: from a password to access tokens."),
    ("errors", "The pages of error codes."),
    ("health", "Whether the server and what it needs can be used."),
];

/// All routes with their description.
fn routes() -> OpenApiRouter<Shared> {
    let resources = OpenApiRouter::new()
        .merge(run::routes())
        .merge(run_control::routes())
        .merge(run_ids::routes())
        .merge(run_parts::routes())
        .merge(live::routes())
        .merge(workflow::routes())
        .merge(package::routes())
        .merge(tenant::routes())
        .merge(user::routes())
        .merge(key::routes())
        .merge(audit::routes());
    OpenApiRouter::with_openapi(frame())
        .merge(health::routes())
        .merge(error_page::routes())
        .merge(auth::routes())
        .merge(adapters::routes())
        .nest(BASE, resources)
}

/// The description without its paths.
fn frame() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Cloacina")
        .description(Some("Runs workflows durably, from packages that are loaded while the engine runs."))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license))
        .build();
    let tags = TAGS.into_iter().chain(adapters::TAGS);
    let tags: Vec<_> = tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build()).collect();
    let mut frame = OpenApiBuilder::new().info(info).tags(Some(tags)).build();
    let (name, schema) = problem::schema();
    frame.components.get_or_insert_default().schemas.insert(name, schema);
    frame
}

/// The description of the interface, as the server serves it at `/openapi.json`.
#[must_use]
pub fn openapi() -> OpenApi {
    with_credentials(routes().into_openapi())
}

/// All routes, with what answers where there is none.
pub(crate) fn router(app: Shared) -> Router {
    let (router, description) = routes().split_for_parts();
    let gate = Gate { app: Arc::clone(&app), permissions: Arc::new(Permissions::of(&description)) };
    let router = router.route_layer(middleware::from_fn_with_state(gate, check_credential));
    let description = with_credentials(description);
    let pages = SwaggerUi::new("/swagger-ui").config(Config::from(DESCRIPTION).validator_url("none"));
    router
        .with_state(app)
        .merge(Router::from(pages))
        .route(DESCRIPTION, axum::routing::get(|| async move { Json(description) }))
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
}

async fn no_path(uri: Uri) -> Problem {
    Refused::NoPath { path: uri.path().to_owned() }.into()
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    Refused::NoMethod { path: uri.path().to_owned(), method: method.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn file() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json")
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
    fn the_description_that_is_checked_in_is_the_one_of_the_handlers() {
        let mut described = openapi().to_pretty_json().unwrap();
        described.push('\n');
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(file(), &described).unwrap();
        }
        let known = fs::read_to_string(file()).unwrap();
        assert!(described == known, "UPDATE_EXPECT=1 cargo test --workspace --lib -- the_description");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_text_and_its_refusals() {
        let described = serde_json::to_value(openapi()).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let place = format!("{method} {path}");
                assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}");
                assert!(operation["summary"].is_string(), "{place}");
                let needs = operation["security"].as_array();
                let is_open = needs.is_none()
                    && ["health", "auth", "errors", "scheduler"].contains(&operation["tags"][0].as_str().unwrap());
                assert!(is_open || needs.is_some_and(|needs| needs.len() == 1), "{place}");
                let is_health = operation["tags"][0] == "health";
                assert!(is_health || operation["responses"]["503"].is_object(), "{place}");
            }
        }
        assert!(names.len() > 30, "{names:?}");
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let described = serde_json::to_value(openapi()).unwrap();
        let text = described.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(described.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
