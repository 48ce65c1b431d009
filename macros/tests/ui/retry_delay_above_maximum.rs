use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task(retry_attempts = 2, retry_delay_ms = 500, retry_max_delay_ms = 100)]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
