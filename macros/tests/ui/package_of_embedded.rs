use cloacina_workflow::prelude::*;

#[workflow(package = "demo")]
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
