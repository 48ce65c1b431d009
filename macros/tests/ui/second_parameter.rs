use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task()]
    async fn extract(_: &mut Context<Value>, _retries: u32) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
