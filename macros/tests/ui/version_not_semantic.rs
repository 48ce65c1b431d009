use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo", version = "1.0")]
mod flow {
    use super::*;

    #[task()]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
