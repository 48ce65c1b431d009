//! Which runs: the filter that lists and commands about many runs share.
//!
//! The options are declared once, here, and become the one filter that the engine knows.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use cloacina::{RunFilter, RunState, Timestamp};

use super::runs::{STATES, state};
use crate::error::Error;
use crate::runs::moment;

#[derive(Debug, Clone, Args)]
pub(crate) struct RunFilterArgs {
    /// Only runs in these states, separated by commas.
    #[arg(
        long,
        value_name = "STATE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(STATES).map(state)
    )]
    state: Vec<RunState>,
    /// Only runs of this workflow: `workflow`, `package::workflow` or `tenant::package::workflow`.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only runs of workflows of this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only runs submitted at or after this time (2026-01-31T12:00:00Z), or so long ago at most (90s, 15m, 24h, 7d).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only runs submitted before this time, or longer ago than this duration.
    #[arg(long, value_name = "TIME", visible_alias = "before")]
    until: Option<String>,
}

impl RunFilterArgs {
    /// The filter, relative to the present time.
    pub(crate) fn filter(&self) -> Result<RunFilter, Error> {
        let now = Timestamp::now();
        let moment =
            |option, text: &Option<String>| text.as_deref().map(|text| moment::parse(option, text, now)).transpose();
        Ok(RunFilter {
            states: self.state.clone(),
            workflow: self.workflow.clone(),
            tenant: self.tenant.clone(),
            created_from: moment("--since", &self.since)?,
            created_before: moment("--until", &self.until)?,
            ..RunFilter::default()
        })
    }
}
