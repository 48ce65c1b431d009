//! What can go wrong in a task, and what a workflow can do about it: the import of a price list.
//!
//! ```text
//! fetch ──► validate ──► publish ──┬─► report
//!   └──────────┴──► use_yesterday ─┘
//! ```
//! The input's `feed` decides what goes wrong. `docs/guide/handle-errors.md` goes through it case by case.

use std::time::Duration;

use cloacina_workflow::prelude::*;
use serde_json::json;

#[packaged_workflow(name = "import_prices", package = "feeds", description = "Imports a price list, or does without")]
pub mod import_prices {
    use super::*;

    /// Gets the list. A busy server is asked again; a list that is gone is not.
    #[task(
        retry_attempts = 2,
        retry_backoff = "fixed",
        retry_delay_ms = 100,
        retry_jitter = false,
        retry_condition = "transient",
        timeout_ms = 500,
        on_failure = tell_the_operator,
        optional = true
    )]
    pub async fn fetch(context: &mut Context<Value>) -> Result<(), TaskError> {
        let feed: String = context.get_as("feed")?;
        let prices = match feed.as_str() {
            "busy" if context.attempt() < 3 => return Err(TaskError::transient("the server answered 503")),
            "gone" => return Err(TaskError::permanent("the server answered 410: there will be no more lists")),
            "slow" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                json!({})
            }
            "odd" => json!({ "tea": 5, "mug": -9 }),
            _ => json!({ "tea": 5, "mug": 9 }),
        };
        Ok(context.insert("prices", prices)?)
    }

    /// Refuses prices that cannot be. Another attempt would see the same list, so there is none.
    #[task(dependencies = [fetch], retry_attempts = 5, on_failure = tell_the_operator, optional = true)]
    pub fn validate(context: &mut Context<Value>) -> Result<(), TaskError> {
        let prices: Prices = context.get_as("prices")?;
        match prices.iter().find(|(_, price)| **price <= 0) {
            Some((product, price)) => {
                Err(TaskError::ValidationFailed { message: format!("{product} cannot cost {price}") })
            }
            None => Ok(()),
        }
    }

    /// Puts the list where the shop finds it.
    #[task(dependencies = [validate])]
    pub fn publish(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("published", json!("today's list"))?)
    }

    /// Does without a new list, if there is none or it is not good.
    #[task(dependencies = [fetch, validate], trigger_rules = any(task_failed("fetch"), task_failed("validate")))]
    pub fn use_yesterday(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("published", json!("yesterday's list"))?)
    }

    /// Says which list is in use, whichever way it went.
    #[task(
        dependencies = [publish, use_yesterday],
        trigger_rules = any(task_success("publish"), task_success("use_yesterday"))
    )]
    pub fn report(context: &mut Context<Value>) -> Result<(), TaskError> {
        let published: String = context.get_as("published")?;
        if context.get("feed") == Some(&json!("haunted")) {
            panic!("{published} was not expected");
        }
        Ok(context.insert("report", json!(format!("the shop uses {published}")))?)
    }

    /// Called once the last attempt has failed; here it would send a message.
    fn tell_the_operator(outcome: &Outcome, context: &Context<Value>) {
        let Outcome { task, attempt, error, .. } = outcome;
        let error = error.as_ref().map(ToString::to_string).unwrap_or_default();
        context.log(Level::Warn, &format!("{task} failed at attempt {attempt}: {error}"));
    }
}

type Prices = std::collections::BTreeMap<String, i64>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_below_nothing_is_refused() {
        let mut context = Context::from_object(json!({ "prices": { "tea": 5, "mug": -9 } })).unwrap();
        let error = import_prices::validate(&mut context).unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), ("validation_failed", false));
    }
}
