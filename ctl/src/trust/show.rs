//! `trust show`: the keys of a tenant, how many signatures it requires, and how that came about.

use cloacina::Timestamp;

use super::view::TrustView;
use crate::cli::TrustShowArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;

/// Events that are shown at once.
const EVENTS_MAX: u32 = 1000;

/// Shows whom a tenant trusts.
pub(crate) fn show(arguments: &TrustShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Place::database(&arguments.database, config)?;
    let tenant = &arguments.tenant.tenant;
    let view = match database.records(output)? {
        Some(mut records) => {
            let trust = records.trust(tenant)?.record(Timestamp::now());
            let events = arguments.events.then(|| records.trust_events(tenant, EVENTS_MAX)).transpose()?;
            TrustView::new(trust, events)
        }
        None => TrustView::none(tenant, arguments.events),
    };
    output.answer(&view, |paint| view.text(paint))?;
    if view.requires_nothing() {
        output.note(&format!(
            "packages are accepted without a signature; to change that: cloacina-ctl trust require 1{}{}",
            arguments.tenant.option(),
            database.option()
        ));
    }
    Ok(exit::SUCCESS)
}
