//! Every document with its page and the commands that print it.

use super::page::Page;
use crate::{
    access, backup, bench, config, demo, doctor, explain, key, man, output, package, profile, run, runs, server, trust,
    workflow,
};

/// Commands that print no document: what they print has a form of its own.
pub(super) const OTHERS: &[&str] = &["completions"];

/// All pages, in the order of the index.
pub(super) fn pages() -> Vec<Page> {
    [run_pages(), package_pages(), access_pages(), other_pages()].into_iter().flatten().collect()
}

fn run_pages() -> Vec<Page> {
    vec![
        Page::of::<runs::list::Listed>("runs", "Runs", &["runs list"]),
        Page::of::<runs::view::Shown<'_>>(
            "run",
            "A run",
            &[
                "runs show",
                "runs create",
                "runs execute",
                "runs start",
                "runs resume",
                "runs pause",
                "runs cancel",
                "runs retry",
                "runs rerun",
                "runs fork",
                "runs dismiss",
                "runs wait",
                "runs watch",
            ],
        ),
        Page::of::<run::report::Finished<'_>>("finished-run", "A run that has ended", &["run"]),
        Page::of::<runs::bulk::Answers>(
            "run-answers",
            "Answers of several runs",
            &["runs pause", "runs resume", "runs cancel", "runs retry", "runs rerun", "runs dismiss"],
        ),
        Page::of::<runs::dead_letters::Listed>("dead-letters", "Dead letters", &["runs dead-letters"]),
        Page::of::<runs::delete::Deleted>("deleted-runs", "Deleted runs", &["runs delete"]),
        Page::of::<runs::why::Answer>("why", "Why a run waits", &["runs why"]),
        Page::of::<runs::events::History>("events", "The history of a run", &["runs events"]),
        Page::of::<runs::logs::Listed>("logs", "The log of a run", &["runs logs"]),
        Page::of::<cloacina::LogRecord>("log-line", "A line of a log", &["runs logs --follow"]),
        Page::of::<cloacina::RunContext>("context", "The context of a run", &["runs context"]),
        Page::of::<cloacina::RunUsage>("run-usage", "The usage of a run", &["runs usage"]),
    ]
}

fn package_pages() -> Vec<Page> {
    vec![
        Page::of::<package::list::Listed>("packages", "Packages", &["package list"]),
        Page::of::<package::show::Shown>("package", "A package", &["package show"]),
        Page::of::<package::register::Registered>(
            "registered-package",
            "A registered package",
            &["package register", "workflow apply"],
        ),
        Page::of::<cloacina::PackageRecord>(
            "changed-package",
            "A changed package",
            &[
                "package activate",
                "package rollback",
                "package retire",
                "package remove",
                "package quarantine",
                "package release",
                "workflow activate",
                "workflow rollback",
            ],
        ),
        Page::of::<package::usage::Listed>("package-usage", "The usage of packages", &["package usage"]),
        Page::of::<package::new::Made>("new-package", "A new crate", &["package new"]),
        Page::of::<package::build::Summary>("built-package", "A built archive", &["package build"]),
        Page::of::<package::inspect::Inspected<'_>>("archive", "What is in an archive", &["package inspect"]),
        Page::of::<package::verify::Verified<'_>>("verified-archive", "The checks of an archive", &["package verify"]),
        Page::of::<package::conformance::report::Report>("conformance", "The rules of the protocol", &["package test"]),
        Page::of::<package::sign::Signed>("signature", "A signature", &["package sign"]),
        Page::of::<package::visualize::Drawn>("drawing", "Drawn graphs", &["package visualize"]),
        Page::of::<package::merge::Merged>("merged-archive", "A merged archive", &["package merge"]),
        Page::of::<package::repack::Repacked>("repacked-archive", "A repacked archive", &["package repack"]),
        Page::of::<package::diff::Difference>(
            "difference",
            "What differs between versions",
            &["package diff", "workflow diff"],
        ),
    ]
}

fn access_pages() -> Vec<Page> {
    vec![
        Page::of::<cloacina::TenantRecord>("tenant", "A tenant", &["tenant add"]),
        Page::of::<access::tenant::Listed>("tenants", "Tenants", &["tenant list"]),
        Page::of::<cloacina::AccountRecord>("user", "A user", &["user add", "user disable", "user passwd"]),
        Page::of::<access::user::Listed>("users", "Users", &["user list"]),
        Page::of::<access::token::Created>("created-token", "A new API key", &["token create"]),
        Page::of::<cloacina::ApiKeyRecord>("token", "An API key", &["token revoke"]),
        Page::of::<access::token::Listed>("tokens", "API keys", &["token list"]),
        Page::of::<access::audit::Listed>("audit", "The audit log", &["audit list"]),
        Page::of::<cloacina::AuditRecord>("audit-entry", "An entry of the audit log", &["audit export"]),
        Page::of::<cloacina::AuditCheck>("audit-check", "The check of an audit log", &["audit verify"]),
    ]
}

fn other_pages() -> Vec<Page> {
    vec![
        Page::of::<profile::whoami::Me>("me", "Who the user is on a server", &["login", "whoami"]),
        Page::of::<profile::logout::LoggedOut>("logged-out", "A credential that was forgotten", &["logout"]),
        Page::of::<profile::list::Listed>("profiles", "Profiles", &["profile list"]),
        Page::of::<profile::use_one::Used>("used-profile", "The profile in use", &["profile use"]),
        Page::of::<workflow::list::Listed>("workflows", "Workflows", &["workflow list"]),
        Page::of::<cloacina::WorkflowReport>("workflow", "A workflow", &["workflow show"]),
        Page::of::<key::generate::Generated>("generated-key", "A new key", &["key generate"]),
        Page::of::<Vec<key::list::Listed>>("keys", "Keys", &["key list"]),
        Page::of::<key::show::Shown>("key", "A public key", &["key show"]),
        Page::of::<trust::view::TrustView>("trust", "The keys that a tenant trusts", &["trust show"]),
        Page::of::<trust::change::Changed<'_>>(
            "changed-trust",
            "A change of trust",
            &["trust add", "trust remove", "trust revoke", "trust require"],
        ),
        Page::of::<cloacina::PrunePlan>("prune-plan", "Expired runs and logs", &["prune --dry-run"]),
        Page::of::<cloacina::Pruned>("pruned", "What was removed", &["prune"]),
        Page::of::<backup::Made>("backup", "A backup", &["backup"]),
        Page::of::<config::show::Shown>("settings", "The settings", &["config show"]),
        Page::of::<config::new_key::NewKey>("settings-key", "A new key for settings", &["config new-key"]),
        Page::of::<config::encrypt::Encrypted>("encrypted-setting", "An encrypted setting", &["config encrypt"]),
        Page::of::<doctor::check::Diagnosis>("diagnosis", "What an engine needs", &["doctor"]),
        Page::of::<server::life::Started>("started-server", "A server that has started", &["dev", "serve"]),
        Page::of::<demo::show::Shown>("demo", "The demonstration", &["demo"]),
        Page::of::<bench::report::Report>("bench", "The benchmark", &["bench"]),
        Page::of::<man::Written>("manual-pages", "Manual pages", &["man"]),
        Page::of::<explain::Explained>("explained-code", "The page of a code", &["explain CODE"]),
        Page::of::<Vec<explain::Listed>>("codes", "All codes", &["explain"]),
        Page::of::<output::ErrorDocument<'_>>("error", "An error", &[]),
        Page::of::<output::LogDocument<'_>>("log", "A line of the engine's log", &[]),
    ]
}
