use cloacina_workflow::prelude::*;

#[task(id = "extract")]
async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
    Ok(())
}

fn main() {}
