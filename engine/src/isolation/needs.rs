//! What packages say that they need, and what an operator allows them of that.
//!
//! In the sandbox of a server a package gets what it says that it needs and is allowed, and nothing else: one that needs
//! more is refused before any of its code runs, with everything that it lacks. What is allowed is written
//! `SCOPE=NEED`, in the same words in which refusals and lists name a need. Paths are compared as what they are in the
//! file system, because a link may lead anywhere.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use cloacina_packager::sign::Scope;
use cloacina_workflow::descriptor::{Descriptor, Need, Needs};

/// That the packages of a scope may have something that they say they need: `SCOPE=NEED`, where a scope is `*`, `name`
/// or `name*`, and a need `net`, `read`, `write` or `env`, or one path or variable of these as in `read:/etc/ssl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedNeed {
    scope: Scope,
    kind: NeedKind,
}

/// One thing that a package may need. Without a path or a name it is all that there are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NeedKind {
    Net,
    Read(Option<PathBuf>),
    Write(Option<PathBuf>),
    Env(Option<String>),
}

/// A text is not `SCOPE=NEED`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not SCOPE=NEED: the scope is `*`, `name` or `name*`; the need `net`, `read`, `read:/PATH`, `write`, `write:/PATH`, `env` or `env:NAME`"
)]
pub struct NotANeed {
    /// What was read.
    pub text: String,
}

impl FromStr for AllowedNeed {
    type Err = NotANeed;

    fn from_str(text: &str) -> Result<Self, NotANeed> {
        let parts = || {
            let (scope, need) = text.split_once('=')?;
            let is_scope = !scope.is_empty() && !scope.trim_end_matches('*').contains('*');
            Some(Self { scope: Scope::from_text(scope), kind: NeedKind::parse(need)? }).filter(|_| is_scope)
        };
        parts().ok_or_else(|| NotANeed { text: text.to_owned() })
    }
}

impl fmt::Display for AllowedNeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.scope, self.kind)
    }
}

impl NeedKind {
    fn parse(text: &str) -> Option<Self> {
        let (what, which) = match text.split_once(':') {
            Some((what, which)) => (what, Some(which).filter(|which| !which.is_empty())),
            None => (text, None),
        };
        let path = || which.map(PathBuf::from);
        let kind = match what {
            "net" => Self::Net,
            "read" => Self::Read(path()),
            "write" => Self::Write(path()),
            "env" => Self::Env(which.map(str::to_owned)),
            _ => return None,
        };
        let is_whole = kind.to_string() == text;
        let is_absolute = !matches!(&kind, Self::Read(Some(path)) | Self::Write(Some(path)) if !path.is_absolute());
        (is_whole && is_absolute).then_some(kind)
    }

    /// All that a package needs.
    fn of(descriptor: &Descriptor) -> BTreeSet<Self> {
        let mut kinds = BTreeSet::new();
        for workflow in &descriptor.workflows {
            let Needs { net, read, write, env } = &workflow.needs;
            if *net != Need::Nothing {
                kinds.insert(Self::Net);
            }
            kinds.extend(each(read).map(|path| Self::Read(path.map(PathBuf::from))));
            kinds.extend(each(write).map(|path| Self::Write(path.map(PathBuf::from))));
            kinds.extend(each(env).map(|name| Self::Env(name.map(str::to_owned))));
        }
        kinds
    }

    /// Whether a package that may have this may also have `other`.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net, Self::Net) => true,
            (Self::Read(here), Self::Read(there)) | (Self::Write(here), Self::Write(there) | Self::Read(there)) => {
                is_within(here.as_deref(), there.as_deref())
            }
            (Self::Env(None), Self::Env(_)) => true,
            (Self::Env(Some(here)), Self::Env(Some(there))) => here == there,
            _ => false,
        }
    }
}

impl fmt::Display for NeedKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, which) = match self {
            Self::Net => ("net", None),
            Self::Read(path) => ("read", path.as_ref().map(|path| path.display().to_string())),
            Self::Write(path) => ("write", path.as_ref().map(|path| path.display().to_string())),
            Self::Env(name) => ("env", name.clone()),
        };
        match which {
            Some(which) => write!(formatter, "{what}:{which}"),
            None => formatter.write_str(what),
        }
    }
}

/// What a package needs, in the words in which it is allowed.
#[must_use]
pub fn needs_of(descriptor: &Descriptor) -> Vec<String> {
    NeedKind::of(descriptor).iter().map(ToString::to_string).collect()
}

/// What a package needs and is not allowed.
pub(super) fn lacking(descriptor: &Descriptor, allowed: &[AllowedNeed]) -> Vec<String> {
    let own: Vec<&NeedKind> = allowed
        .iter()
        .filter(|allowed| allowed.scope.holds(&descriptor.package))
        .map(|allowed| &allowed.kind)
        .collect();
    let kinds = NeedKind::of(descriptor).into_iter();
    kinds.filter(|kind| !own.iter().any(|own| own.covers(kind))).map(|kind| kind.to_string()).collect()
}

/// The items of a need; one without a name is all of them.
fn each(need: &Need) -> impl Iterator<Item = Option<&str>> {
    let (all, some) = match need {
        Need::Nothing => (None, &[][..]),
        Need::Anything => (Some(None), &[][..]),
        Need::Only(items) => (None, items.as_slice()),
    };
    all.into_iter().chain(some.iter().map(|item| Some(item.as_str())))
}

/// Whether a path is the other or below it; without a path it is the whole file system.
fn is_within(folder: Option<&Path>, path: Option<&Path>) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (folder, path) {
        (None, _) => true,
        (Some(folder), None) => folder == Path::new("/"),
        (Some(folder), Some(path)) => {
            !path.components().any(|part| part == Component::ParentDir) && real(path).starts_with(real(folder))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(needs: &str) -> Descriptor {
        let json = format!(
            r#"{{"format":1,"abi":"1.0","package":"billing","version":"0.1.0","workflows":[
               {{"name":"w","needs":{needs},"tasks":[{{"id":"a","index":0}}]}}]}}"#
        );
        Descriptor::parse(&json).unwrap()
    }

    #[test]
    fn a_package_lacks_the_needs_that_are_not_allowed() {
        let needs = r#"{"net":["example.org"],"read":["/etc/ssl/certs","/srv/x"],"write":false,"env":["HOME"]}"#;
        for (allowed, expected) in [
            (&[][..], &["net", "read:/etc/ssl/certs", "read:/srv/x", "env:HOME"][..]),
            (&["*=net", "bill*=read:/etc/ssl", "billing=env"], &["read:/srv/x"]),
            (
                &["other=net", "*=read:/etc/sslx", "*=env:PATH"],
                &["net", "read:/etc/ssl/certs", "read:/srv/x", "env:HOME"],
            ),
            (&["*=net", "*=write", "*=env:HOME"], &[]),
            (&["*=net", "*=read", "*=env:HOME"], &[]),
        ] {
            let allowed: Vec<AllowedNeed> = allowed.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(lacking(&descriptor(needs), &allowed), expected, "{allowed:?}");
        }
        let everything = descriptor(r#"{"read":true,"write":["/etc/ssl/../passwd"]}"#);
        let allowed = ["*=read:/etc".parse().unwrap(), "*=write:/etc/ssl".parse().unwrap()];
        assert_eq!(lacking(&everything, &allowed), ["read", "write:/etc/ssl/../passwd"]);
        assert_eq!(needs_of(&everything), ["read", "write:/etc/ssl/../passwd"]);
    }

    #[test]
    fn a_link_counts_as_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let needs = descriptor(&serde_json::json!({ "read": [link] }).to_string());
        let allow = |text: String| vec![text.parse::<AllowedNeed>().unwrap()];
        assert_eq!(lacking(&needs, &allow(format!("*=read:{}", folder.path().display()))).len(), 1);
        assert_eq!(lacking(&needs, &allow("*=read:/etc".to_owned())).len(), 0);
    }

    #[test]
    fn other_texts_than_needs_are_refused_and_a_need_is_written_as_it_was_read() {
        for text in ["", "net", "=net", "*=", "*=network", "*=net:example.org", "*=read:etc", "*=env:", "a*b=net"] {
            assert!(text.parse::<AllowedNeed>().is_err(), "{text}");
        }
        for text in ["*=net", "a*=read", "a=write:/tmp/x", "a=env:HOME"] {
            assert_eq!(text.parse::<AllowedNeed>().unwrap().to_string(), text);
        }
    }
}
