use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    const RETRIES: u32 = 3;

    #[task(retry_attempts = RETRIES)]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
