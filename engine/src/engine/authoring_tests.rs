//! A program that embeds the engine and writes workflows with the macros needs no other crate of ours.
//!
//! Everything here is named through `cloacina`, as a user would.

use cloacina::{Engine, RunState, prelude::*};
use serde_json::json;

#[workflow(name = "greeting")]
mod greeting {
    use super::*;

    #[task(dependencies = [])]
    async fn choose(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert("words", json!("hello"))?;
        Ok(())
    }

    #[task(dependencies = [choose])]
    fn say(context: &mut Context<Value>) -> Result<(), TaskError> {
        let words: String = context.get_as("words")?;
        let times: usize = context.get_as("times")?;
        context.insert("said", json!(words.repeat(times)))?;
        Ok(())
    }
}

#[test]
fn a_compiled_in_workflow_needs_only_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let database = folder.path().join("runs.db").display().to_string();
        let engine = Engine::builder().database(database).workflow(greeting::workflow()).start().await.unwrap();
        let input = Context::from_object(json!({ "times": 2 })).unwrap();
        let run = engine.scheduler().schedule_workflow("greeting", input).await.unwrap();
        let report = run.wait().await.unwrap();
        assert_eq!(report.state, RunState::Completed);
        assert_eq!(report.context.get("said"), Some(&json!("hellohello")));
        engine.shutdown().await.unwrap();
    });
}
