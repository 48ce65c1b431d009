//! The package in README.md compiles and does what it says.
//!
//! Between the two marks stands the text of the README, letter by letter; one of the tests compares them.

#![expect(unreachable_pub, reason = "a user's package has its own crate")]

// The README's package begins here.
use cloacina_workflow::prelude::*;

#[packaged_workflow(name = "greeting", package = "hello", description = "Greets one person")]
pub mod greeting {
    use super::*;

    /// Chooses a name.
    #[task(id = "choose")]
    pub fn choose(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert("name", "Ada".into())?;
        Ok(())
    }

    /// Greets the chosen name.
    #[task(id = "greet", dependencies = ["choose"])]
    pub async fn greet(context: &mut Context<Value>) -> Result<(), TaskError> {
        let name: String = context.get_as("name")?;
        context.insert("greeting", format!("Hello, {name}!").into())?;
        Ok(())
    }
}
// The README's package ends here.

#[test]
fn the_package_is_the_one_of_the_readme() {
    let between = |text: &'static str, begin: &str, end: &str| {
        let (_, after) = text.split_once(begin).expect("the beginning is there");
        after.split_once(end).expect("the end is there").0
    };
    let here = between(
        include_str!("readme.rs"),
        "// The README's package begins here.\n",
        "// The README's package ends here.",
    );
    let there = between(include_str!("../../README.md"), "```rust\n", "```");
    assert_eq!(here, there);
}

#[tokio::test]
async fn the_tasks_of_the_package_are_functions_to_call() {
    let mut context = Context::new();
    greeting::choose(&mut context).expect("no name was chosen before");
    greeting::greet(&mut context).await.expect("a name was chosen");
    assert_eq!(context.get("greeting"), Some(&"Hello, Ada!".into()));
}
