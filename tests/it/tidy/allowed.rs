//! The exceptions: what the checks find and we keep, each with its reason.
//!
//! A line permits the findings of one check in one file (or in a folder, when the path ends with `/`) whose text
//! contains `text`. A line that no longer permits anything fails its check.

pub(super) struct Allowance {
    /// The name of the check, as in `rule::CHECKS`.
    pub(super) check: &'static str,
    pub(super) path: &'static str,
    pub(super) text: &'static str,
    pub(super) reason: &'static str,
}

impl Allowance {
    pub(super) fn permits(&self, path: &str, found: &str) -> bool {
        let here = self.path.is_empty() || self.path == path || self.path.ends_with('/') && path.starts_with(self.path);
        here && found.contains(self.text)
    }
}

const fn allow(check: &'static str, path: &'static str, text: &'static str, reason: &'static str) -> Allowance {
    Allowance { check, path, text, reason }
}

#[rustfmt::skip]
pub(super) const ALLOWED: &[Allowance] = &[
    allow("duplicate", "", "`base64`", "the pages of Swagger UI are ahead of the client of PostgreSQL"),
    allow("duplicate", "", "`block-buffer`", "minisign derives keys with the hashes of one version before"),
    allow("duplicate", "", "`cipher`", "minisign derives keys with the ciphers of one version before"),
    allow("duplicate", "", "`cpufeatures`", "comes with the two versions of sha2"),
    allow("duplicate", "", "`crypto-common`", "comes with the two versions of sha2"),
    allow("duplicate", "", "`digest`", "comes with the two versions of sha2"),
    allow("duplicate", "", "`getrandom`", "the cryptography of TLS is behind the rest"),
    allow("duplicate", "", "`hashbrown`", "petgraph is one version behind indexmap"),
    allow("duplicate", "", "`inout`", "comes with the two versions of cipher"),
    allow("duplicate", "", "`hmac`", "minisign derives keys with the hashes of one version before"),
    allow("duplicate", "", "`sha2`", "minisign derives keys with the hashes of one version before"),
    allow("duplicate", "", "`shlex`", "trycmd and the compiler driver of SQLite's build disagree"),
    allow("duplicate", "", "`syn`", "diesel's derives are behind serde's"),
    allow("duplicate", "", "`toml`", "diesel's migrations read their settings with the one before"),
    allow("duplicate", "", "`toml_datetime`", "comes with the two versions of toml"),
    allow("duplicate", "", "`winnow`", "comes with the two versions of toml"),
    allow("english", "docs/reference/json/schema/trust.json", "\"vouched\"", "a value that is stored"),
    allow("english", "docs/reference/json/trust.md", "`vouched`", "a value that is stored"),
    allow("english", "engine/migrations/", "'let_go'", "a value that is stored"),
    allow("english", "engine/migrations/", "'vouched'", "a value that is stored"),
    allow("english", "engine/src/store/host.rs", "\"let_go\"", "a value that is stored"),
    allow("english", "engine/src/store/owner.rs", "'vouched'", "a value that is stored"),
    allow("english", "engine/src/store/trust.rs", "\"vouched\"", "a value that is stored"),
    allow("english", "docs/glossary.md", "vouch", "quotes words that are refused"),
    allow("english", "tests/it/tidy/", "", "lists the words that are not used"),
    allow("later", "tests/it/tidy/", "", "looks for these marks"),
    allow("machine", "tests/it/tidy/", "", "looks for these places"),
    allow("manifest", "fuzz/Cargo.toml", "", "apart from the workspace, as libFuzzer needs another compiler"),
    allow("module-arrow", "engine/src/store/crash_tests.rs", "`testing`", "the server that is crashed serves tests of other crates too"),
    allow("module-arrow", "engine/src/store/search_tests.rs", "`testing`", "only the measurements call SQLite's own interface, which tells what it prepared"),
    allow("print", "tests/src/bin/", "", "programs whose output is what they are for"),
    allow("public-module", "engine/src/lib.rs", "prelude", "a glob import needs a module; this one only re-exports"),
    allow("spelling", "tests/it/tidy/english.rs", "", "lists the words that are not used"),
    allow("test-program", "macros/tests/it/main.rs", "", "links no engine; what the compiler says is kept beside the macros"),
    allow("test-program", "packager/tests/it/main.rs", "", "links no engine, so that changing the packager is quick"),
    allow("test-program", "sdk/tests/abi.rs", "", "plays the host of a package, of which a program can hold only one"),
    allow("unsafe", "macros/src/expand/package.rs", "link_section", "tokens of an attribute that is emitted"),
    allow("unsafe", "sdk/tests/abi.rs", "", "plays the host of a package, and speaks C with it"),
    allow("unused-dependency", "Cargo.toml", "cloacina-tests", "the support library of the tests, for those of other crates"),
    allow("word", "Cargo.toml", "bundled", "the name of a feature of libsqlite3-sys"),
    allow("word", "docs/changes/unreleased/adapters.md", "pipeline", "a path of an interface that another product has"),
    allow("word", "docs/glossary.md", "", "lists the words that are not used"),
    allow("word", "docs/reference/adapters.md", "ipeline", "words of an interface that another product has"),
    allow("word", "docs/reference/http.md", "ipeline", "words of an interface that another product has"),
    allow("word", "docs/reference/roles.md", "pipelines", "a path of an interface that another product has"),
    allow("word", "docs/reference/openapi.json", "ipeline", "words of an interface that another product has"),
    allow("word", "server/src/adapters/", "ipeline", "words of an interface that another product has"),
    allow("word", "server/src/auth/permission.rs", "_pipelines_", "a path of an interface that another product has"),
    allow("word", "tests/it/http/adapters.rs", "pipeline", "words of an interface that another product has"),
    allow("word", "tests/it/http/tenant.rs", "pipeline", "words of an interface that another product has"),
    allow("word", "tests/it/tidy/", "", "looks for these words"),
];

#[test]
fn every_exception_has_a_reason_and_names_a_check() {
    for allowance in ALLOWED {
        assert!(allowance.reason.len() > 10, "{}: {}", allowance.check, allowance.text);
        let known = super::rule::CHECKS.iter().any(|(check, _)| *check == allowance.check);
        assert!(known, "there is no check `{}`", allowance.check);
    }
}
