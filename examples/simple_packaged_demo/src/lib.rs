//! The data-processing demonstration: `collect_data → process_data → generate_report`.
//!
//! Each task is an ordinary function; the tests at the end call one directly. `cargo run --example
//! package_workflow` makes a package of this crate; `end_to_end_demo` in `../embedded_engine` also runs it.

use std::time::Duration;

use cloacina_workflow::prelude::*;
use serde_json::json;

#[packaged_workflow(
    name = "data_processing",
    package = "simple_demo",
    description = "Collects records, processes them and writes a report",
    author = "The Cloacina authors"
)]
pub mod data_processing {
    use super::*;

    /// Collects the raw records from the source.
    #[task(id = "collect_data", dependencies = [], retry_attempts = 2)]
    pub async fn collect_data(context: &mut Context<Value>) -> Result<(), TaskError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let raw_data = json!({ "records": 1000, "source": "demo_database", "timestamp": Timestamp::now() });
        context.log(Level::Info, "collected 1000 records");
        context.insert("raw_data", raw_data)?;
        Ok(())
    }

    /// Turns the raw records into processed ones.
    #[task(id = "process_data", dependencies = ["collect_data"], retry_attempts = 3)]
    pub async fn process_data(context: &mut Context<Value>) -> Result<(), TaskError> {
        let raw_data = context
            .get("raw_data")
            .ok_or_else(|| TaskError::ValidationFailed { message: "raw_data is missing".to_owned() })?;
        let records = raw_data["records"].clone();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let processed_data = json!({
            "processed_records": 950,
            "original_count": records,
            "processing_time_ms": 200,
            "status": "completed",
        });
        context.log(Level::Info, "processed 950 of them");
        context.insert("processed_data", processed_data)?;
        Ok(())
    }

    /// Sums everything up.
    #[task(id = "generate_report", dependencies = ["process_data"], retry_attempts = 1)]
    pub async fn generate_report(context: &mut Context<Value>) -> Result<(), TaskError> {
        let processed_data = context
            .get("processed_data")
            .ok_or_else(|| TaskError::ValidationFailed { message: "processed_data is missing".to_owned() })?;
        let summary = json!({
            "total_processed": processed_data["processed_records"],
            "success_rate": "95%",
            "processing_time": processed_data["processing_time_ms"],
        });
        tokio::time::sleep(Duration::from_millis(150)).await;
        let now = Timestamp::now();
        let final_report = json!({
            "report_id": format!("RPT_{}", now.unix_seconds()),
            "summary": summary,
            "generated_at": now,
        });
        context.insert("final_report", final_report)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn process_data_counts_what_was_collected() {
        let mut context = Context::new();
        context.insert("raw_data", json!({ "records": 1000 })).unwrap();
        data_processing::process_data(&mut context).await.unwrap();
        let processed = context.get("processed_data").unwrap();
        assert_eq!(processed["original_count"], 1000);
        assert_eq!(processed["processed_records"], 950);
    }

    #[tokio::test]
    async fn process_data_refuses_to_work_without_raw_data() {
        let error = data_processing::process_data(&mut Context::new()).await.unwrap_err();
        assert_eq!(error, TaskError::ValidationFailed { message: "raw_data is missing".to_owned() });
    }
}
