use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod first {
    use super::*;

    #[task]
    pub async fn extract(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

#[packaged_workflow(package = "demo")]
mod second {
    use super::*;

    #[task(dependencies = [first::extract])]
    pub async fn load(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }

    #[task(dependencies = ["first::extract"])]
    pub async fn report(_: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn main() {
    first::workflow();
    second::workflow();
}
