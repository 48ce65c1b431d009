use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task()]
    async fn extract() -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
