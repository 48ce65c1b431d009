use cloacina_workflow::prelude::*;

pub struct Broken;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task()]
    async fn extract(_: &mut Context<Value>) -> Result<(), Broken> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
