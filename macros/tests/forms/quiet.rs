//! Nothing that the attributes add makes a lint speak, however strict the crate is and however private the modules.
#![deny(missing_docs, unreachable_pub, unused_qualifications, unused_results, single_use_lifetimes)]
#![deny(elided_lifetimes_in_paths, missing_debug_implementations, trivial_casts, unused_lifetimes, let_underscore_drop)]
#![forbid(unsafe_code, unused, warnings)]

mod hidden {
    // Each import is in use, `task` too.
    use cloacina_workflow::{Context, Outcome, TaskError, Workflow, packaged_workflow, task, workflow};

    /// Nothing in the program calls a packaged workflow.
    #[packaged_workflow(package = "demo")]
    mod packaged {
        use super::*;

        #[task(on_failure = notify, on_success = notify_later)]
        fn plain(_: &mut Context) -> Result<(), TaskError> {
            Ok(())
        }

        #[task]
        async fn later(_: &mut Context) -> Result<(), TaskError> {
            Ok(())
        }

        fn notify(_: &Outcome, _: &Context) {}

        async fn notify_later(_: &Outcome, _: &Context) {}
    }

    #[workflow]
    mod embedded {
        use super::*;

        #[task]
        fn plain(_: &mut Context) -> Result<(), TaskError> {
            Ok(())
        }
    }

    pub(super) fn registered() -> Workflow {
        embedded::workflow()
    }
}

fn main() {
    assert_eq!(hidden::registered().name(), "embedded");
}
