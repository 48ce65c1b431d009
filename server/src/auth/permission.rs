//! The table of routes: what each needs. A route without a row is not served.
//!
//! The rows name operations as the description does, so that the table is read without the paths, and a path that changes
//! keeps its row.

use std::collections::HashMap;

use axum::http::Method;
use cloacina::Role;
use utoipa::openapi::OpenApi;

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it is answered without a credential.
    Nothing,
    /// A credential of any role.
    Credential,
    /// That role, or a greater one.
    Role(Role),
    /// An admin of every tenant.
    EveryTenant,
}

#[cfg(test)]
impl Need {
    /// What is needed, for people.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Credential => "a credential of any role",
            Self::Role(role) => role.as_str(),
            Self::EveryTenant => "admin of every tenant",
        }
    }
}

const NOTHING: Need = Need::Nothing;
const CREDENTIAL: Need = Need::Credential;
const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);
const EVERY_TENANT: Need = Need::EveryTenant;

/// Each operation, and what it needs.
#[rustfmt::skip]
const TABLE: &[(&str, Need)] = &[
    ("health", NOTHING),
    ("live", NOTHING),
    ("ready", NOTHING),
    ("errors_get", NOTHING),
    // They take a credential in the body.
    ("auth_login", NOTHING),
    ("auth_refresh", NOTHING),
    ("auth_logout", NOTHING),
    ("auth_whoami", CREDENTIAL),
    ("runs_list", VIEWER),
    // It changes nothing; a query would be too long.
    ("runs_short_ids", VIEWER),
    ("runs_named", VIEWER),
    ("runs_submit", OPERATOR),
    ("runs_get", VIEWER),
    ("runs_delete", OPERATOR),
    ("runs_control", OPERATOR),
    ("runs_rerun", OPERATOR),
    ("runs_fork", OPERATOR),
    ("runs_control_task", OPERATOR),
    ("runs_bulk", OPERATOR),
    ("runs_tasks", VIEWER),
    ("runs_task", VIEWER),
    ("runs_events", VIEWER),
    ("runs_logs", VIEWER),
    ("runs_context", VIEWER),
    ("runs_context_value", VIEWER),
    ("runs_why", VIEWER),
    ("runs_usage", VIEWER),
    ("runs_stream", VIEWER),
    ("runs_logs_stream", VIEWER),
    ("dead_letters_list", VIEWER),
    ("workflows_list", VIEWER),
    ("workflows_get", VIEWER),
    ("workflows_define", ADMIN),
    ("packages_list", VIEWER),
    ("packages_get", VIEWER),
    ("packages_events", VIEWER),
    // It is the code itself.
    ("packages_archive", OPERATOR),
    ("packages_register", ADMIN),
    ("packages_activate", ADMIN),
    ("packages_rollback", ADMIN),
    ("packages_retire", ADMIN),
    ("packages_quarantine", ADMIN),
    ("packages_release", ADMIN),
    ("packages_remove", ADMIN),
    ("tenants_list", ADMIN),
    ("tenants_add", EVERY_TENANT),
    ("users_list", ADMIN),
    ("users_add", ADMIN),
    ("users_get", ADMIN),
    ("users_disable", ADMIN),
    ("users_set_password", ADMIN),
    ("keys_list", ADMIN),
    ("keys_add", ADMIN),
    ("keys_revoke", ADMIN),
    ("audit_list", ADMIN),
    ("audit_verify", ADMIN),
    ("audit_export", ADMIN),
    ("adapter_jobs_create", OPERATOR),
    ("adapter_jobs_get", VIEWER),
    ("adapter_pipelines_list", VIEWER),
    ("adapter_pipelines_create", OPERATOR),
    ("adapter_pipelines_get", VIEWER),
    ("adapter_platform_jobs_list", VIEWER),
    ("adapter_platform_jobs_create", OPERATOR),
    ("adapter_platform_jobs_get", VIEWER),
    ("adapter_platform_workers_list", VIEWER),
    ("adapter_platform_workers_register", OPERATOR),
    ("adapter_platform_workers_get", VIEWER),
    ("adapter_platform_workers_status", VIEWER),
    ("adapter_platform_workers_beat", OPERATOR),
    ("adapter_platform_workers_remove", OPERATOR),
    ("adapter_executions_create", OPERATOR),
    ("adapter_executions_list", VIEWER),
    ("adapter_executions_get", VIEWER),
    ("adapter_executions_logs", VIEWER),
    ("adapter_schedules_create", OPERATOR),
    ("adapter_schedules_list", VIEWER),
    ("adapter_platform_metrics", VIEWER),
    ("adapter_scheduler_workers_list", VIEWER),
    ("adapter_scheduler_workers_register", OPERATOR),
    ("adapter_scheduler_workers_get", VIEWER),
    ("adapter_scheduler_workers_beat", OPERATOR),
    ("adapter_scheduler_workers_remove", OPERATOR),
    ("adapter_system_health", NOTHING),
    ("adapter_system_metrics", VIEWER),
    ("adapter_system_config", EVERY_TENANT),
    ("adapter_tasks_list", VIEWER),
    ("adapter_tasks_get", VIEWER),
    ("adapter_tasks_create", OPERATOR),
    ("adapter_tasks_update", OPERATOR),
    ("adapter_tasks_delete", OPERATOR),
    ("adapter_tasks_trigger", OPERATOR),
    ("adapter_tasks_control", OPERATOR),
    ("adapter_tasks_runs", VIEWER),
    ("adapter_tasks_retry", OPERATOR),
];

/// What each route of a server needs, by its path as it is declared and its method.
#[derive(Debug)]
pub(crate) struct Permissions {
    paths: HashMap<String, Vec<(Method, Need)>>,
}

impl Permissions {
    /// The permissions of all described routes.
    ///
    /// # Panics
    /// If a route has no row, or a row no route: such a server must not start.
    pub(crate) fn of(described: &OpenApi) -> Self {
        let mut paths: HashMap<String, Vec<(Method, Need)>> = HashMap::new();
        let mut n_routes = 0;
        for (path, item) in &described.paths.paths {
            for (method, operation) in operations(item) {
                let id = operation.operation_id.as_deref().unwrap_or_default();
                let row = TABLE.iter().find(|(named, _)| *named == id);
                let (_, need) = row.unwrap_or_else(|| {
                    panic!("{method} {path} ({id}) has no row in the table of server/src/auth/permission.rs")
                });
                paths.entry(path.clone()).or_default().push((method, *need));
                n_routes += 1;
            }
        }
        assert_eq!(n_routes, TABLE.len(), "server/src/auth/permission.rs has rows without a route");
        Self { paths }
    }

    /// What that route needs; none if there is no such route.
    pub(crate) fn need(&self, path: &str, method: &Method) -> Option<Need> {
        // A GET answers HEAD, too.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.paths.get(path)?.iter().find(|(known, _)| known == method).map(|(_, need)| *need)
    }

    /// The methods that a path takes, for the header `allow`.
    pub(crate) fn methods(&self, path: &str) -> String {
        let methods = self.paths.get(path).into_iter().flatten().map(|(method, _)| method.as_str());
        let with_head = methods.flat_map(|method| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] });
        with_head.collect::<Vec<_>>().join(",")
    }
}

/// The operations of a path.
fn operations(item: &utoipa::openapi::PathItem) -> Vec<(Method, &utoipa::openapi::path::Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::OPTIONS, &item.options),
        (Method::HEAD, &item.head),
        (Method::PATCH, &item.patch),
        (Method::TRACE, &item.trace),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
    fn the_table_of_routes_and_roles_is_the_one_of_the_reference() {
        let described = crate::routes::openapi();
        let permissions = Permissions::of(&described);
        let mut rows = BTreeMap::new();
        for (path, methods) in &permissions.paths {
            for (method, need) in methods {
                let may = |role| match need {
                    Need::Nothing | Need::Credential => true,
                    Need::Role(needed) => role >= *needed,
                    Need::EveryTenant => false,
                };
                let marks: Vec<&str> = Role::ALL.map(|role| if may(role) { "yes" } else { "no" }).to_vec();
                let anyone = if *need == Need::Nothing { "yes" } else { "no" };
                rows.insert((path.clone(), method.to_string()), format!("{anyone} | {} | yes", marks.join(" | ")));
            }
        }
        let mut page = HEAD.to_owned();
        for ((path, method), marks) in rows {
            page.push_str(&format!("| `{method} {path}` | {marks} |\n"));
        }
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/roles.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &page).unwrap();
        }
        let known = std::fs::read_to_string(&file).unwrap();
        assert!(page == known, "UPDATE_EXPECT=1 cargo test --workspace --lib -- the_table_of_routes");
    }

    const HEAD: &str = "\
# Routes and roles

What each request of the HTTP interface needs. This page is written by a test from the table that the server decides by. A role
counts for the tenant of the credential; an admin of every tenant may name a tenant with the header `cloacina-tenant`.

| request | without a login | worker | viewer | operator | admin | admin of every tenant |
|---|---|---|---|---|---|---|
";

    #[test]
    fn a_route_that_is_not_in_the_table_needs_no_role_that_exists() {
        let permissions = Permissions::of(&crate::routes::openapi());
        let runs = "/api/v1/runs";
        assert_eq!(permissions.need(runs, &Method::HEAD), Some(VIEWER));
        assert_eq!(permissions.need(runs, &Method::PATCH), None);
        assert_eq!(permissions.need("/api/v1/nothing", &Method::GET), None);
        assert_eq!(permissions.methods(runs), "GET,HEAD,POST");
    }
}
