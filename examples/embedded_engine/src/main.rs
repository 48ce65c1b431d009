//! A program with an engine in it: an order that is fulfilled once, whatever happens.
//!
//! ```sh
//! cargo run -p embedded_engine -- orders.db 1001
//! ```
//! Run it twice: the second time finds the run of the first. Stop it in the middle, with Ctrl-C or `kill -9`, and run it
//! again: it goes on where it was, and what was charged is not charged again. `docs/guide/embed-the-engine.md` goes
//! through it.

use std::{error::Error, process::ExitCode, time::Duration};

use cloacina::{Context, Engine, NoticeKind, RunRequest, RunState, TaskError, Value, task, workflow};
use serde_json::json;

/// Fulfils an order.
#[workflow(name = "fulfill_order")]
pub mod fulfill_order {
    use super::*;

    /// Puts the goods aside.
    #[task(dependencies = [])]
    pub async fn reserve(context: &mut Context<Value>) -> Result<(), TaskError> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(context.insert("shelf", json!("B-17"))?)
    }

    /// Takes the money. The key is the same for all attempts at this task of this run, so a payment service that refuses
    /// a key which it knows takes the money once.
    #[task(dependencies = [reserve], retry_attempts = 3, timeout_ms = 10_000)]
    pub async fn charge(context: &mut Context<Value>) -> Result<(), TaskError> {
        let order: u64 = context.get_as("order")?;
        let receipt = payment(order, context.idempotency_key()).await?;
        Ok(context.insert("receipt", json!(receipt))?)
    }

    /// Sends the mail. A mail that is sent twice is worse than one that is not sent.
    #[task(dependencies = [charge], at_most_once = true, optional = true)]
    pub async fn send_mail(context: &mut Context<Value>) -> Result<(), TaskError> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(context.insert("mail", json!(format!("order {}: thank you", context.get_as::<u64>("order")?)))?)
    }
}

/// Stands for a service elsewhere.
async fn payment(order: u64, idempotency_key: &str) -> Result<String, TaskError> {
    if idempotency_key.is_empty() {
        return Err(TaskError::permanent("a payment needs a key"));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(format!("receipt-{order}"))
}

#[tokio::main]
async fn main() -> ExitCode {
    let Err(error) = fulfill().await else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    // Every error of the engine knows what to do next.
    for hint in error.downcast_ref::<cloacina::Error>().map(cloacina::Error::hints).unwrap_or_default() {
        eprintln!("hint: {hint}");
    }
    ExitCode::FAILURE
}

async fn fulfill() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(database), Some(order)) = (arguments.next(), arguments.next()) else {
        return Err("usage: embedded_engine DATABASE ORDER, such as: embedded_engine orders.db 1001".into());
    };
    let order: u64 = order.parse().map_err(|_| format!("{order:?} is not the number of an order"))?;

    // Workflows that are named here are known before the first run goes on.
    let engine = Engine::builder().database(database).workflow(fulfill_order::workflow()).start().await?;
    let mut notices = engine.subscribe();

    let mut input = Context::new();
    input.insert("order", json!(order))?;
    // A caller that submits with the same key again gets the run that is there.
    let request = RunRequest::new("fulfill_order", input).key(format!("order-{order}"));
    let run = engine.scheduler().submit(request).await?;
    println!("run {} is {}", run.id(), run.status().await?.state);

    let shown = tokio::spawn(async move {
        while let Some(notice) = notices.next().await {
            if let (Some(task), NoticeKind::Completed) = (notice.task, notice.kind) {
                println!("  {task} completed");
            }
        }
    });
    tokio::select! {
        report = run.wait() => {
            let report = report?;
            let is_done = matches!(report.state, RunState::Completed | RunState::PartiallyCompleted);
            // Attempts that run may finish; what they do is on the disk when this returns.
            engine.shutdown().await?;
            shown.await?;
            println!("the run is {}: {}", report.state, serde_json::to_string(&report.context)?);
            if is_done { Ok(()) } else { Err(format!("order {order} was not fulfilled").into()) }
        }
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            engine.shutdown().await?;
            println!("stopped; run the same command again, and the run goes on");
            Ok(())
        }
    }
}
