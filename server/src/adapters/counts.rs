//! How much there is, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{app::App, asker::Asker, problem::Problem};

/// How much there is of what the caller sees.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Counts {
    /// How many runs are in each state, for every state.
    runs: BTreeMap<String, u64>,
    /// How many workflows new runs can be made of.
    workflows: usize,
    /// How many workers there are, with the embedded one.
    workers: usize,
}

pub(super) async fn counts(app: &App, asker: &Asker) -> Result<Counts, Problem> {
    let runs = asker.engine.count_by_state().await?.into_iter();
    Ok(Counts {
        runs: runs.map(|(state, n_runs)| (state.as_str().to_owned(), n_runs)).collect(),
        workflows: asker.engine.workflows().len(),
        workers: app.workers.list(asker.engine.caller()).len(),
    })
}
