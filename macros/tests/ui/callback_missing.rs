use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task(on_failure = notfy)]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    fn notify(_: &Outcome, _: &Context<Value>) {}
}

fn main() {
    flow::workflow();
}
