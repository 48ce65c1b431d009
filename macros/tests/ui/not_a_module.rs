use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
