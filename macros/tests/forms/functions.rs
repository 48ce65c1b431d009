//! Every kind of function that a task may be, and that all of them stay ordinary functions.
use cloacina_workflow::{__private::v1::Function, prelude::*};

#[workflow]
mod kinds {
    use super::*;

    type Outcome<T> = Result<T, TaskError>;

    #[derive(Debug)]
    pub struct Broken;

    impl From<Broken> for TaskError {
        fn from(_: Broken) -> Self {
            TaskError::permanent("broken")
        }
    }

    #[task]
    pub async fn later(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert("later", Value::from(1))?;
        Ok(())
    }

    #[task]
    pub fn plain(mut _anything: &mut Context) -> Result<(), Broken> {
        Err(Broken)
    }

    #[task(blocking = true)]
    pub async fn with_lifetime<'a>(c: &'a mut cloacina_workflow::Context<cloacina_workflow::Value>) -> Result<(), Broken> {
        let _: &'a _ = c;
        Ok(())
    }

    /// A parameter called as its function, a function called as a parameter of the generated code.
    #[task]
    pub fn context(context: &mut Context<Value>) -> std::result::Result<(), TaskError> {
        context.remove("later");
        Ok(())
    }

    #[task]
    pub fn r#match(_: &mut Context<Value>) -> std::io::Result<()> {
        Ok(())
    }

    pub fn helper() -> Outcome<u8> {
        Ok(1)
    }
}

fn main() {
    let mut context = Context::new();
    kinds::plain(&mut context).unwrap_err();
    kinds::context(&mut context).unwrap();
    kinds::r#match(&mut context).unwrap();
    drop(kinds::later(&mut context));
    drop(kinds::with_lifetime(&mut context));
    kinds::helper().unwrap();

    let workflow = kinds::workflow();
    let descriptor = workflow.descriptor().unwrap();
    let tasks: Vec<_> = descriptor.workflows[0].tasks.iter().map(|task| (task.id.as_str(), task.blocking)).collect();
    let expected =
        [("later", false), ("plain", true), ("with_lifetime", true), ("context", true), ("match", true)];
    assert_eq!(tasks, expected);
    let Function::Task(plain) = workflow.functions()[1] else { panic!("a plain function is one") };
    assert!(plain(&mut context).is_err());
    assert!(matches!(workflow.functions()[2], Function::AsyncTask(_)));
}
