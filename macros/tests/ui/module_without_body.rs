use cloacina_workflow::prelude::*;

#[packaged_workflow(package = "demo")]
mod elsewhere;

fn main() {}
