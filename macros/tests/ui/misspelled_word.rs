use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task(retry_attempts = 1, retry_backoff = "exponental")]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
