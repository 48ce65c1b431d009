use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    #[task]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = [extract], on_success = tell)]
    async fn load(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    fn tell(_: &Outcome, _: &Context<Value>) {}
}

fn main() {
    flow::workflow();
}
