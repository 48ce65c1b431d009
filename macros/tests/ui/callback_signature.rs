use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task(on_success = notify)]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    fn notify(_: &mut Context<Value>) {}
}

fn main() {
    flow::workflow();
}
