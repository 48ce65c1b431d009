//! The crate under other names, attributes by path, modules made by a macro, and the set for users of the engine.

// Stands for the engine, which re-exports the same private module.
extern crate cloacina_workflow as cloacina;

mod sdk {
    pub use cloacina_workflow::__private;
}

mod engine {
    pub use cloacina_macros::{
        engine_packaged_workflow as packaged_workflow, engine_task as task, engine_workflow as workflow,
    };
}

#[cloacina_workflow::packaged_workflow(package = "demo", crate = crate::sdk)]
pub mod renamed {
    #[cloacina_workflow::task(dependencies = [])]
    pub fn only(_: &mut cloacina_workflow::Context) -> Result<(), cloacina_workflow::TaskError> {
        Ok(())
    }
}

#[engine::packaged_workflow(package = "demo")]
pub mod by_engine {
    #[super::engine::task]
    pub fn only(_: &mut cloacina_workflow::Context) -> Result<(), cloacina_workflow::TaskError> {
        Ok(())
    }
}

#[engine::workflow]
pub mod embedded_by_engine {
    #[super::engine::task]
    pub fn only(_: &mut cloacina_workflow::Context) -> Result<(), cloacina_workflow::TaskError> {
        Ok(())
    }
}

macro_rules! chain {
    ($module:ident, $name:literal, $attempts:expr, $first:ident, $second:ident) => {
        #[cloacina_workflow::workflow(name = $name)]
        pub mod $module {
            use cloacina_workflow::prelude::*;

            #[task(retry_attempts = $attempts)]
            pub fn $first(_: &mut Context<Value>) -> Result<(), TaskError> {
                Ok(())
            }

            #[task(dependencies = [$first])]
            pub async fn $second(_: &mut Context<Value>) -> Result<(), TaskError> {
                Ok(())
            }
        }
    };
}

chain!(made, "made-by-macro", 3, one, two);

fn main() {
    assert_eq!(renamed::workflow().name(), "renamed");
    assert_eq!(by_engine::workflow().name(), "by_engine");
    let embedded = embedded_by_engine::workflow().descriptor().unwrap();
    assert_eq!(embedded.package, env!("CARGO_PKG_NAME"));
    assert_eq!(embedded.version, env!("CARGO_PKG_VERSION"));
    let made = made::workflow().descriptor().unwrap();
    assert_eq!(made.workflows[0].name, "made-by-macro");
    assert_eq!(made.workflows[0].tasks[0].retry.attempts, 3);
    assert_eq!(made.workflows[0].tasks[1].dependencies, ["one"]);
}
