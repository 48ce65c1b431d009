//! Trigger rules: whether a task runs, asked once all its dependencies are terminal.

/// When a task runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rule {
    /// When all dependencies completed.
    #[default]
    AllCompleted,
}

/// How the dependencies of a task ended, counted as they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// How many are not terminal yet.
    pub(crate) open: u32,
    /// The first, in the order of events, that did not complete.
    pub(crate) unsuccessful: Option<u32>,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet: a dependency is open.
    Wait,
    Run,
    Skip(SkipReason),
}

/// Why a task does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// That dependency failed or was itself skipped.
    UpstreamFailed { dependency: u32 },
}

impl SkipReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UpstreamFailed { .. } => "upstream_failed",
        }
    }
}

impl Rule {
    pub(crate) fn judge(self, upstream: Upstream) -> Verdict {
        match self {
            _ if upstream.open > 0 => Verdict::Wait,
            Self::AllCompleted => match upstream.unsuccessful {
                None => Verdict::Run,
                Some(dependency) => Verdict::Skip(SkipReason::UpstreamFailed { dependency }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_rule_waits_for_all_and_skips_after_a_failure() {
        let verdict = |open, unsuccessful| Rule::AllCompleted.judge(Upstream { open, unsuccessful });
        assert_eq!(verdict(0, None), Verdict::Run);
        assert_eq!(verdict(1, None), Verdict::Wait);
        assert_eq!(verdict(1, Some(3)), Verdict::Wait);
        assert_eq!(verdict(0, Some(3)), Verdict::Skip(SkipReason::UpstreamFailed { dependency: 3 }));
    }
}
