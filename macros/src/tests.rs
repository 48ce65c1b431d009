//! Rules and expansions on tokens alone, without a compiler: single rules by their messages, descriptors as text.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse_quote;

use crate::{
    ast::{Kind, Module},
    attr, expand,
    mistakes::Mistakes,
    scope, valid,
};

/// The messages for a module whose attribute and body are given.
fn mistakes(attribute: &str, body: &str) -> Vec<String> {
    let mut mistakes = Mistakes::default();
    let module = format!("mod flow {{ use super::*; {body} }}");
    let module =
        Module::read(Kind::Packaged, attribute.parse().unwrap(), module.parse().unwrap(), &mut mistakes).unwrap();
    valid::check(&module, &mut mistakes);
    mistakes.messages()
}

/// The messages for one task with these attributes, beside a task `first` that it depends on.
fn task_mistakes(attributes: &str) -> Vec<String> {
    let body = format!(
        "#[task] async fn first(c: &mut Context<Value>) -> Result<(), E> {{}}
        #[task({attributes})] async fn second(c: &mut Context<Value>) -> Result<(), E> {{}}
        fn notify(outcome: &Outcome, context: &Context<Value>) {{}}"
    );
    mistakes("package = \"demo\"", &body)
}

/// The descriptor of a valid module, its constants as `<tokens>`.
fn descriptor(kind: Kind, attribute: TokenStream, module: TokenStream) -> String {
    let mut mistakes = Mistakes::default();
    let module = Module::read(kind, attribute, module, &mut mistakes).unwrap();
    valid::check(&module, &mut mistakes);
    assert_eq!(mistakes.messages(), Vec::<String>::new());
    let tokens = expand::expand(module, &parse_quote!(private));
    pieces(tokens).expect("there is a constant with the pieces")
}

/// Finds `__CLOACINA_JSON : … = & [pieces]` anywhere and joins the pieces.
fn pieces(tokens: TokenStream) -> Option<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    if matches!(trees.first(), Some(TokenTree::Literal(_))) && trees.iter().any(|tree| tree.to_string() == "private") {
        let list: syn::ExprArray = syn::parse2(quote!([#(#trees)*])).ok()?;
        let text = list.elems.iter().map(|piece| match piece {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => text.value(),
            constant => format!("<{}>", constant.to_token_stream().to_string().replace(' ', "")),
        });
        return Some(text.collect());
    }
    trees.into_iter().find_map(|tree| match tree {
        TokenTree::Group(group) => pieces(group.stream()),
        _ => None,
    })
}

#[test]
fn a_workflow_has_as_many_tasks_as_a_package_may() {
    let tasks = 0..=cloacina_workflow::descriptor::FUNCTIONS_MAX;
    let body: String =
        tasks.map(|task| format!("#[task] fn t{task}(c: &mut Context<Value>) -> Result<(), E> {{}}\n")).collect();
    let too_many = "a workflow has at most 50000 tasks and callbacks, but this one has 50001";
    assert_eq!(mistakes("package = \"demo\"", &body), [too_many]);
}

#[test]
fn names_are_missed_only_where_nothing_can_bring_them() {
    let task = "#[task] fn t(c: &mut Context<Value>) -> Result<(), TaskError> {}";
    for (imports, expected) in [
        ("", vec!["Context", "Value", "TaskError"]),
        ("use super::*;", vec![]),
        ("use a::{b::*, c};", vec![]),
        ("define!();", vec![]),
        ("use a::{Context, Value};", vec!["TaskError"]),
        ("use a::B as Context; struct Value; type TaskError = u8;", vec![]),
    ] {
        let mut mistakes = Mistakes::default();
        let module = format!("mod flow {{ {imports} {task} }}").parse().unwrap();
        let module = Module::read(Kind::Packaged, TokenStream::new(), module, &mut mistakes).unwrap();
        let missing: Vec<String> = scope::missing(&module).iter().map(ToString::to_string).collect();
        assert_eq!(missing, expected, "{imports}");
    }
    let path = "mod flow { #[task] fn t(c: &mut a::Context<::b::Value>) -> Result<(), a::TaskError> {} }";
    let mut mistakes = Mistakes::default();
    let module = Module::read(Kind::Packaged, TokenStream::new(), path.parse().unwrap(), &mut mistakes).unwrap();
    assert!(scope::missing(&module).is_empty());
}

#[test]
fn a_descriptor_holds_what_was_written_and_nothing_else() {
    let json = descriptor(
        Kind::Packaged,
        quote!(package = "demo", tenant = "acme", needs(write, env("HOME", "LANG"))),
        quote! {
            /// Says "hello".
            mod flow {
                use super::*;
                #[task(retry_attempts = 2, on_failure = notify)]
                async fn first(c: &mut Context<Value>) -> Result<(), E> {}
                fn notify(outcome: &Outcome, context: &Context<Value>) {}
                #[task(dependencies = [first], trigger_rules = any(task_failed(first), context_value("n", less_than, 3)))]
                fn second(c: &mut Context<Value>) -> Result<(), E> {}
            }
        },
    );
    assert_eq!(
        json,
        concat!(
            r#"{"format":1,"abi":"<private::ABI>","package":"demo","tenant":"acme","version":"<::core::env!("CARGO_PKG_VERSION")>","#,
            r#""description":"Says \"hello\".","build":{"sdk":"<private::SDK>","compiler":"<private::RUSTC>","#,
            r#""target":"<private::TARGET>","panic":"<private::PANIC>","crate":"<::core::env!("CARGO_PKG_NAME")>","#,
            r#""crate_version":"<::core::env!("CARGO_PKG_VERSION")>"},"workflows":[{"name":"flow","#,
            r#""description":"Says \"hello\".","#,
            r#""fingerprint":"7a3eb3c1e9a9520b3d6ddfde13f419530d1667f3578d94ff3cee3dd00e1e6337","#,
            r#""needs":{"net":false,"read":false,"write":true,"env":["HOME","LANG"]},"#,
            r#""callbacks":[{"name":"notify","index":2,"blocking":true}],"#,
            r#""tasks":[{"id":"first","index":0,"dependencies":[],"blocking":false,"retry":{"attempts":2,"#,
            r#""backoff":"exponential","delay_ms":1000,"max_delay_ms":60000,"jitter":true,"condition":"all"},"#,
            r#""on_failure":2},{"id":"second","index":1,"dependencies":["first"],"blocking":true,"#,
            r#""trigger_rules":{"any":[{"task_failed":"first"},"#,
            r#"{"context_value":{"key":"n","op":"less_than","value":3}}]}}]}]}"#,
        )
    );
}

#[test]
fn an_embedded_workflow_belongs_to_its_program() {
    let json = descriptor(
        Kind::Embedded,
        quote!(version = "1.0.0", durability = "strict"),
        quote!(
            mod flow {
                use super::*;
                #[task(description = "one\nline", trigger_rules = always, priority = 0, optional = false)]
                fn first(c: &mut Context<Value>) -> Result<(), E> {}
            }
        ),
    );
    assert_eq!(
        json,
        concat!(
            r#"{"format":1,"abi":"<private::ABI>","package":"<::core::env!("CARGO_PKG_NAME")>","#,
            r#""version":"1.0.0","build":{"sdk":"<private::SDK>","compiler":"<private::RUSTC>","#,
            r#""target":"<private::TARGET>","panic":"<private::PANIC>","crate":"<::core::env!("CARGO_PKG_NAME")>","#,
            r#""crate_version":"<::core::env!("CARGO_PKG_VERSION")>"},"workflows":[{"name":"flow","#,
            r#""fingerprint":"acf3be40f18e4a003fec11b65b26845387cfaabe3103029f50481394ff3e8734","#,
            r#""durability":"strict","tasks":[{"id":"first","index":0,"description":"one\nline","dependencies":[],"#,
            r#""blocking":true,"trigger_rules":"always","priority":0,"optional":false}]}]}"#,
        )
    );
}

#[test]
fn each_mistake_has_its_message() {
    for (attributes, expected) in [
        ("id = \"\"", "the task id \"\" is empty"),
        ("id = \"1a\"", "the task id \"1a\" begins with a digit or `-`; it begins with an ASCII letter or `_`"),
        ("id = \"ä\"", "the task id \"ä\" contains 'ä'; it may hold ASCII letters, digits, `_` and `-`"),
        ("id(\"a\")", "`id` is written with `=`: it takes a string in quotes"),
        ("priority = 101", "`priority` takes a whole number from -100 to 100"),
        ("timeout_ms = 0", "`timeout_ms` takes a whole number of milliseconds from 1 to 9,007,199,254,740,991"),
        (
            "dependencies = [first::x]",
            "a task depends on tasks of its own workflow, which are the functions of its own module: name such a function without a path. Tasks that wait for each other belong in one module",
        ),
        ("dependencies = [1]", "a dependency is the name of a task function of this module, or a task's id in quotes"),
        ("depends_on = [first]", "there is no attribute `depends_on`; did you mean `dependencies`?"),
        ("a,, b", "nothing stands between two commas"),
        ("retry_attempts = 1, retry_condition = [\"a\", \"a\"]", "a pattern is listed twice"),
        ("retry_attempts = 1, retry_condition = [\"\"]", "a pattern may not be empty"),
        (
            "retry_attempts = 1, retry_condition = []",
            "a list of patterns needs at least one pattern; `\"never\"` switches retries off",
        ),
        (
            "retry_attempts = 1, retry_condition = \"allways\"",
            "`retry_condition` has no value `\"allways\"`; did you mean `\"all\"`?",
        ),
        (
            "retry_attempts = 1, retry_delay_ms = 60_001",
            "`retry_delay_ms` is above the default of `retry_max_delay_ms`, 60,000; set that one too",
        ),
        (
            "retry_attempts = 1, retry_max_delay_ms = 999",
            "`retry_max_delay_ms` is below the default of `retry_delay_ms`, 1,000; set that one too",
        ),
        ("retry_condition = \"all\"", "`retry_condition` has no effect without retries; add `retry_attempts`"),
        ("trigger_when = \"soon\"", "`trigger_when` takes one of `\"terminal\"`, `\"decided\"` in quotes"),
        (
            "trigger_when = \"decide\"",
            "`trigger_when` takes one of `\"terminal\"`, `\"decided\"` in quotes; did you mean `\"decided\"`?",
        ),
        ("trigger_rules = all()", "`all` needs at least one condition"),
        ("trigger_rules = all", "`all` needs its list: `all(…)`"),
        ("trigger_rules = always()", "`always` takes no list"),
        ("trigger_rules = task_failed(second)", "a task's trigger rule cannot name the task itself"),
        ("trigger_rules = task_failed()", "`task_failed` takes one task: its function's name, or its id in quotes"),
        ("trigger_rules = context_value(\"k\")", "`context_value` is written as `context_value(\"key\", equals, 1)`"),
        ("trigger_rules = context_value(k, exists)", "the key is a string in quotes that is not empty"),
        ("trigger_rules = context_value(\"k\", exists, 1)", "`exists` takes no value"),
        ("trigger_rules = context_value(\"k\", \"equals\", 1)", "an operator is written without quotes: `equals`"),
        ("trigger_rules = context_value(\"k\", less_than, true)", "`less_than` compares numbers and strings"),
        (
            "trigger_rules = context_value(\"k\", equals, [1])",
            "the value is a literal: a string, a number, `true` or `false`",
        ),
        (
            "on_success = \"notify\"",
            "`on_success` takes the name of a function of this module, without quotes: `on_success = notify`",
        ),
        ("on_success = self::notify", "`on_success` takes the name of a function of this module, without a path"),
    ] {
        let found = task_mistakes(attributes);
        assert!(found.iter().any(|message| message == expected), "{attributes}: {found:?}");
    }
}

#[test]
fn what_is_allowed_gives_no_message() {
    for attributes in [
        "",
        "dependencies = [first,]",
        "retry_attempts = 0, retry_delay_ms = 5",
        "retry_condition = \"never\"",
        "at_most_once = true, retry_attempts = 0",
        "at_most_once = false, retry_attempts = 3",
        "retry_attempts = 1_000, retry_delay_ms = 0, retry_max_delay_ms = 0",
        "dependencies = [\"first\"], trigger_rules = none(all(any(task_skipped(\"first\"))))",
        "on_success = notify, on_failure = notify",
        "trigger_rules = context_value(\"k\", not_exists)",
        "trigger_rules = context_value(\"k\", equals, 18_446_744_073_709_551_615)",
        "blocking = false",
        "dependencies = [first], trigger_when = \"decided\"",
        "dependencies = [first], trigger_rules = any(task_upstream_failed(first)), trigger_when = \"terminal\"",
    ] {
        assert_eq!(task_mistakes(attributes), Vec::<String>::new(), "{attributes}");
    }
}

#[test]
fn one_mistake_brings_no_other_with_it() {
    let first = |attributes: &str| {
        format!(
            "#[task({attributes})] async fn one(c: &mut Context<Value>) -> Result<(), E> {{}}
            #[task(dependencies = [\"first\"])] async fn two(c: &mut Context<Value>) -> Result<(), E> {{}}"
        )
    };
    for (attributes, expected) in [
        ("ids = \"first\"", "there is no attribute `ids`; did you mean `id`?"),
        ("\"first\"", "expected `name = value`, such as `dependencies = [\"extract\"]`"),
        ("id = (\"first\")", "`id` takes a string in quotes"),
        ("id = \"first\", color = 1", "there is no attribute `color`; there are "),
    ] {
        let found = mistakes("package = \"demo\"", &first(attributes));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{attributes}: {found:?}");
    }
    let found = mistakes("package = 1", &first("id = \"first\""));
    assert_eq!(found, ["`package` takes a string in quotes"]);
}

#[test]
fn every_cycle_is_reported_once_and_long_chains_need_no_stack() {
    let task = |name: &str, parents: &str| {
        format!("#[task(dependencies = [{parents}])] fn {name}(c: &mut Context<Value>) -> Result<(), E> {{}}\n")
    };
    let body = [
        task("a", "b"),
        task("b", "c, a"),
        task("c", "a"),
        task("d", "e"),
        task("e", "f, a"),
        task("f", "d"),
        task("g", "a, d"),
    ];
    let found = mistakes("package = \"demo\"", &body.concat());
    assert_eq!(
        found,
        ["these tasks wait for each other: a -> b -> c -> a", "these tasks wait for each other: d -> e -> f -> d"]
    );

    let chain: String = (1..1_000).map(|place| task(&format!("t{place}"), &format!("t{}", place - 1))).collect();
    assert_eq!(mistakes("package = \"demo\"", &(task("t0", "t999") + &chain)).len(), 1);
    assert_eq!(mistakes("package = \"demo\"", &(task("t0", "") + &chain)), Vec::<String>::new());
}

#[test]
fn the_reference_page_has_a_row_for_every_attribute() {
    const PAGE: &str = include_str!("../../docs/reference/macros.md");
    for name in attr::WORKFLOW_NAMES.iter().chain(attr::TASK_NAMES) {
        assert!(PAGE.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}
