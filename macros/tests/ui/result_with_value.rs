use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task()]
    async fn extract(_: &mut Context<Value>) -> Result<Value, TaskError> {
        Ok(Value::Null)
    }
}

fn main() {
    flow::workflow();
}
