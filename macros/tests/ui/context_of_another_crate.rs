use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    pub struct Context;

    #[task()]
    async fn extract(_: &mut Context) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    flow::workflow();
}
