//! Where a version of a package stands, and what may be done with it there: the one transition function.
//!
//! Pure. Each change of a package, live or from outside of any engine, asks [`next`]; the table that it makes is
//! printed into `docs/concepts/packages.md` by a test.

use std::{fmt, str::FromStr};

/// Where a registered version of a package stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackageState {
    /// Registered, and not taken by new runs yet.
    Registered,
    /// Taken by new runs.
    Active,
    /// Another version took its place; the runs that it has go on.
    Retired,
    /// Not to be used, as it did harm.
    Quarantined,
}

/// What can be done with a registered version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PackageAct {
    /// New runs get it from now on, all of them or some.
    Activate,
    /// New runs get it no more.
    Retire,
    /// It did harm, and nothing of it is started any more.
    Quarantine,
    /// It may be used again.
    Release,
    /// It is forgotten, if no unfinished run needs it.
    Remove,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PackageNext {
    /// Another state, or the same with other details.
    To(PackageState),
    /// The state that it had before its quarantine.
    Before,
    /// It is so already.
    Same,
    /// It is gone.
    Gone,
    /// It must be something else first.
    Refused,
}

impl PackageState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Active, Self::Retired, Self::Quarantined];

    /// The name, as stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Quarantined => "quarantined",
        }
    }
}

impl PackageAct {
    /// All that can be done.
    pub const ALL: [Self; 5] = [Self::Activate, Self::Retire, Self::Quarantine, Self::Release, Self::Remove];

    /// The name, as commands have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Quarantine => "quarantine",
            Self::Release => "release",
            Self::Remove => "remove",
        }
    }
}

/// What becomes of a version in that state.
pub(crate) fn next(state: PackageState, act: PackageAct) -> PackageNext {
    use PackageNext::{Before, Gone, Refused, Same, To};
    use PackageState::{Active, Quarantined, Registered, Retired};
    match (act, state) {
        // Again with another share.
        (PackageAct::Activate, Registered | Active | Retired) => To(Active),
        (PackageAct::Activate | PackageAct::Retire, Quarantined) => Refused,
        (PackageAct::Retire, Registered | Active) => To(Retired),
        (PackageAct::Retire, Retired) => Same,
        // Again with another reason.
        (PackageAct::Quarantine, _) => To(Quarantined),
        (PackageAct::Release, Quarantined) => Before,
        (PackageAct::Release, Registered | Active | Retired) => Same,
        (PackageAct::Remove, _) => Gone,
    }
}

impl fmt::Display for PackageState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Display for PackageAct {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for PackageState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}
