//! Every setting: its name, what its value may be, its default, and the argument that overrides it.
//!
//! `docs/reference/config.md` has a row for each; a test holds the two together.

use super::kind::Kind;

/// A setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// The section and the key in it, with a point between them.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The text that stands for the default; empty where nothing is set or the program decides.
    pub(super) default: &'static str,
    /// The argument of commands that means the same.
    pub(super) argument: Option<&'static str>,
}

const fn of(name: &'static str, kind: Kind, default: &'static str) -> Setting {
    Setting { name, kind, default, argument: None }
}

const fn with(argument: &'static str, setting: Setting) -> Setting {
    Setting { argument: Some(argument), ..setting }
}

const LEVELS: Kind = Kind::Choice(&["error", "warn", "info", "debug", "trace"]);

/// The settings, by sections.
pub(super) const SETTINGS: &[Setting] = &[
    of("database.url", Kind::Secret, ""),
    with("listen", of("server.listen", Kind::Address, "127.0.0.1:8080")),
    with("no_login", of("server.no_login", Kind::Flag, "false")),
    with("token_key", of("server.token_key", Kind::Path, "")),
    with("tls_certificate", of("server.tls_certificate", Kind::Path, "")),
    with("tls_key", of("server.tls_key", Kind::Path, "")),
    with("cors_origin", of("server.cors_origin", Kind::Origins, "")),
    with("credential_rate", of("server.credential_rate", Kind::Number { least: 0 }, "1000")),
    with("tenant_rate", of("server.tenant_rate", Kind::Number { least: 0 }, "5000")),
    with("connections", of("server.connections", Kind::Number { least: 1 }, "10000")),
    with("drain", of("server.drain", Kind::Wait, "10s")),
    with("slots", of("engine.slots", Kind::Number { least: 1 }, "1024")),
    with("log_level", of("engine.log_level", LEVELS, "info")),
    with("isolation", of("engine.isolation", Kind::Choice(&["process", "inline"]), "process")),
    with("inline", of("engine.inline", Kind::Texts, "")),
    with("inline_signer", of("engine.inline_signer", Kind::Texts, "")),
    with("package_memory", of("engine.package_memory", Kind::Number { least: 16 }, "4096")),
    with("package_scratch", of("engine.package_scratch", Kind::Number { least: 1 }, "1024")),
    with("sandbox", of("engine.sandbox", Kind::Choice(&["dev", "server"]), "dev")),
    with("require_sandbox", of("engine.require_sandbox", Kind::Flag, "false")),
    with("allow_need", of("engine.allow_need", Kind::Needs, "")),
    of("retention.enabled", Kind::Flag, "true"),
    of("retention.finished", Kind::AgeOrOff, ""),
    of("retention.completed", Kind::AgeOrOff, "30d"),
    of("retention.partially_completed", Kind::AgeOrOff, "30d"),
    of("retention.cancelled", Kind::AgeOrOff, "30d"),
    of("retention.failed", Kind::AgeOrOff, "30d"),
    of("retention.dead_letters", Kind::AgeOrOff, "off"),
    of("retention.runs_max", Kind::NumberOrOff, "1000000"),
    of("retention.contexts", Kind::AgeOrOff, "off"),
    of("retention.events", Kind::AgeOrOff, "off"),
    of("retention.logs", Kind::AgeOrOff, "14d"),
    of("retention.logs_max", Kind::NumberOrOff, "10000000"),
];

/// The setting of that name.
pub(super) fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The name that is most like this one, if one is.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let similar = |setting: &&Setting| strsim::damerau_levenshtein(setting.name, name);
    let nearest = SETTINGS.iter().min_by_key(similar)?;
    // As for the names of workflows: a third of the letters may differ.
    (similar(&nearest) * 3 <= name.len()).then_some(nearest.name)
}

impl Setting {
    /// The variable that means the same.
    pub(super) fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "__").to_uppercase())
    }

    /// The variable that names a file with the value.
    pub(super) fn file_variable(&self) -> String {
        format!("{}_FILE", self.variable())
    }
}

/// How the names of all variables begin that mean a setting.
pub(super) const PREFIX: &str = "CLOACINA__";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values() {
        for Setting { name, kind, default, .. } in SETTINGS {
            if !default.is_empty() {
                assert_eq!(kind.check(default), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn a_misspelled_name_has_a_nearest_one() {
        assert_eq!(nearest("server.lissten"), Some("server.listen"));
        assert_eq!(nearest("retention.log"), Some("retention.logs"));
        assert_eq!(nearest("color"), None);
    }

    #[test]
    fn every_setting_has_its_row_in_the_reference() {
        let page = include_str!("../../../docs/reference/config.md");
        let row = |setting: &Setting| format!("| `{}` |", setting.name);
        let missing: Vec<&str> =
            SETTINGS.iter().filter(|setting| !page.contains(&row(setting))).map(|setting| setting.name).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }
}
