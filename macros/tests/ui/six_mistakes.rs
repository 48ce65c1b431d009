use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo", version = "one")]
mod flow {
    use super::*;

    #[task(retires = 3)]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = ["extrac"])]
    fn load(_: &Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = [publish])]
    async fn report(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = [report], on_failure = notify)]
    async fn publish(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
