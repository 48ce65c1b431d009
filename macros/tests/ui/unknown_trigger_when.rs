use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task(trigger_when = "early")]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
