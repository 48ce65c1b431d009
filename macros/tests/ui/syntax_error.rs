use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task]
    async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        let = 3;
        Ok(())
    }

    #[cloacina_workflow::task(dependencies = [extract])]
    async fn load(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
