//! From the arguments of `demo` to its exit code.

use cloacina::Client;
use serde::Serialize;
use utoipa::ToSchema;

use super::life::Life;
use super::order::Story;
use crate::actor;
use crate::cli::{ActorArgs, DemoArgs};
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::output::Output;
use crate::package::place;
use crate::place::Place;
use crate::runs::{exit_code, runtime};

/// What the two runs of the demonstration went through.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    #[serde(flatten)]
    life: Life,
    /// The second run, which fails first.
    order: Story,
}

impl Document for Shown {}

/// Shows the life of a run, and what becomes of one that fails.
pub(crate) fn demo(arguments: &DemoArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let temporary = place::temporary_folder()?;
    let chosen = match arguments.ephemeral {
        true => None,
        false => Some(Place::database(&arguments.database, config)?),
    };
    // The engine that lives does not have the code of the second run.
    let kept = match chosen {
        Some(database) if has_engine(&database)? => {
            let shown = database.shown();
            output.note(&format!("an engine drives {shown}: the demonstration takes a temporary database"));
            None
        }
        chosen => chosen,
    };
    let file = temporary.path().join("demo.db");
    let database = match &kept {
        Some(database) => database.clone(),
        None => Database::choose(Some(&file.to_string_lossy()), config)?,
    };
    let by = actor::name(&ActorArgs::default(), config);
    let life = Life::live(arguments.tasks, &database, &by, output)?;
    let order = Story::live(&database, &by)?;
    let shown = Shown { life, order };
    output.answer(&shown, |_| format!("{}{}", shown.life.text(), shown.order.text()))?;
    output.note(&match kept {
        Some(database) => format!("both runs are kept: cloacina-ctl runs list{}", database.option()),
        None => "the runs were kept nowhere".to_owned(),
    });
    Ok(exit_code(shown.life.state).max(exit_code(shown.order.state)))
}

/// Whether an engine with a socket drives it.
fn has_engine(database: &Database) -> Result<bool, Error> {
    runtime()?.block_on(async { Ok(Client::connect(&database.url).await?.is_some()) })
}
