use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod flow {
    use super::*;

    #[task()]
    async fn extract(_: &mut Context<Value>) {}
}

fn main() {
    flow::workflow();
}
