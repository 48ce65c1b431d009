use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
#[workflow]
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
