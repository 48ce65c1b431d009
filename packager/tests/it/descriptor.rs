//! Descriptors written by hand: every mistake found at once, each with its code.

use cloacina_packager::{Graph, MistakeKind, check, warnings};
use cloacina_workflow::descriptor::Descriptor;

use crate::support::DIAMOND;

fn descriptor(tasks: &str) -> Descriptor {
    let json = format!(
        r#"{{"format":1,"abi":"1.0","package":"p","version":"1.0.0","workflows":[{{"name":"w","tasks":[{tasks}],
            "callbacks":[{{"name":"call","index":9}}]}}]}}"#
    );
    Descriptor::parse(&json).unwrap()
}

/// The codes of the mistakes, without those of the indices.
fn codes(tasks: &str) -> Vec<&'static str> {
    let mistakes = check(&descriptor(tasks)).err().unwrap_or_default();
    mistakes.iter().map(|mistake| mistake.code()).filter(|code| !matches!(*code, "DSC0008" | "DSC0009")).collect()
}

#[test]
fn each_mistake_has_its_code() {
    let with =
        |attribute: &str| format!(r#"{{"id":"a","index":0}},{{"id":"b","index":1,"dependencies":["a"],{attribute}}}"#);
    let cases: &[(&str, &str)] = &[
        (r#"{"id":"a","index":0},{"id":"a","index":1}"#, "DSC0001"),
        (r#"{"id":"a","index":0,"dependencies":["z"]}"#, "DSC0002"),
        (r#"{"id":"a","index":0,"dependencies":["b"]},{"id":"b","index":1,"dependencies":["a"]}"#, "DSC0003"),
        (r#"{"id":"a","index":0,"dependencies":["a"]}"#, "DSC0004"),
        (r#"{"id":"b","index":1},{"id":"a","index":0,"dependencies":["b","b"]}"#, "DSC0005"),
        (r#"{"id":"a b","index":0}"#, "DSC0006"),
        (r#"{"id":"","index":0}"#, "DSC0006"),
        (r#"{"id":"a::b","index":0}"#, "DSC0006"),
        (&with(r#""retry":{"attempts":1001}"#), "DSC0007"),
        (&with(r#""retry":{"condition":[]}"#), "DSC0007"),
        (&with(r#""priority":101"#), "DSC0007"),
        (&with(r#""timeout_ms":0"#), "DSC0007"),
        (&with(r#""trigger_rules":{"task_success":"z"}"#), "DSC0010"),
        (&with(r#""trigger_rules":{"any":[{"task_failed":"b"}]}"#), "DSC0011"),
        (&with(r#""trigger_rules":{"task_upstream_failed":"b"}"#), "DSC0011"),
        (&with(r#""trigger_rules":{"all":[]}"#), "DSC0012"),
        (&with(r#""trigger_rules":{"context_value":{"key":"k","op":"equals"}}"#), "DSC0012"),
        (&with(r#""trigger_rules":{"context_value":{"key":"k","op":"exists","value":1}}"#), "DSC0012"),
        (&with(r#""on_success":1"#), "DSC0013"),
        (&with(r#""at_most_once":true,"retry":{"attempts":1}"#), "DSC0015"),
        ("", "DSC0017"),
    ];
    for (tasks, code) in cases {
        assert_eq!(codes(tasks), [*code], "{tasks}");
    }
    assert!(codes(&with(r#""on_failure":9,"trigger_rules":{"any":["always",{"task_failed":"a"}]}"#)).is_empty());
}

#[test]
fn an_unknown_moment_of_a_rule_is_answered_with_the_known_ones() {
    let with = |when: &str| {
        format!(
            r#"{{"format":1,"abi":"1.0","package":"p","version":"1.0.0","workflows":[{{"name":"w","tasks":[{{"id":"a","index":0{when}}}]}}]}}"#
        )
    };
    let error = Descriptor::parse(&with(r#","trigger_when":"soon""#)).unwrap_err().to_string();
    assert!(error.contains("unknown variant `soon`, expected `terminal` or `decided`"), "{error}");
    // A descriptor of before is what it was, byte for byte.
    let written = |when: &str| serde_json::to_string(&Descriptor::parse(&with(when)).unwrap()).unwrap();
    assert!(!written("").contains("trigger_when") && written("") == written(r#","trigger_when":"terminal""#));
    assert!(written(r#","trigger_when":"decided""#).contains(r#""trigger_when":"decided""#));
}

#[test]
fn indices_are_counted_from_zero_without_gaps() {
    let codes = |tasks: &str| {
        check(&descriptor(tasks)).err().unwrap_or_default().iter().map(|mistake| mistake.code()).collect::<Vec<_>>()
    };
    // The callback has the index 9.
    assert_eq!(codes(r#"{"id":"a","index":0}"#), ["DSC0009"]);
    assert_eq!(codes(r#"{"id":"a","index":0},{"id":"b","index":0}"#), ["DSC0008", "DSC0009"]);
}

#[test]
fn names_versions_and_fingerprints_of_the_whole_are_checked() {
    let json = DIAMOND
        .replace("\"diamond\"", "\"../evil\"")
        .replace("1.2.3", "1.2")
        .replace("\"description\":\"A diamond.\"", "\"fingerprint\":\"abc\",\"timeout_ms\":0");
    let mistakes = check(&Descriptor::parse(&json).unwrap()).unwrap_err();
    let codes: Vec<_> = mistakes.iter().map(|mistake| mistake.code()).collect();
    assert_eq!(codes, ["DSC0006", "DSC0018", "DSC0019", "DSC0007"]);
}

#[test]
fn a_graph_reports_all_its_mistakes_with_paths_and_suggestions() {
    let descriptor = descriptor(
        r#"{"id":"collect","index":0,"dependencies":["report"]},{"id":"process","index":1,"dependencies":["colect"]},
           {"id":"merge","index":2,"dependencies":["collect","merge"]},{"id":"report","index":3,"dependencies":["merge"]},
           {"id":"x","index":4,"dependencies":["y"]},{"id":"y","index":5,"dependencies":["x"]}"#,
    );
    let mistakes = Graph::new(&descriptor.workflows[0]).unwrap_err();
    let texts: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "workflow `w`, task `process`: the dependency `colect` is not a task of this workflow",
            "workflow `w`, task `merge`: the task depends on itself",
            "workflow `w`: the tasks wait for each other: collect → report → merge → collect",
            "workflow `w`: the tasks wait for each other: x → y → x",
        ]
    );
    assert_eq!(mistakes[0].hints(), ["did you mean `collect`?"]);
}

#[test]
fn the_order_is_topological_with_ties_by_place() {
    let descriptor = Descriptor::parse(DIAMOND).unwrap();
    let graph = Graph::new(&descriptor.workflows[0]).unwrap();
    assert_eq!(graph.order(), [0, 1, 2, 3]);
    assert_eq!(graph.levels(), [vec![0], vec![1, 2], vec![3]]);
    assert_eq!(graph.parents(3), [1, 2]);
    assert_eq!(graph.children(0), [1, 2]);
    let reversed = descriptor_of_chain(&["c", "b", "a"]);
    let graph = Graph::new(&reversed.workflows[0]).unwrap();
    let order: Vec<_> = graph.order().iter().map(|task| graph.id(*task)).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

/// Each task depends on the one behind it.
fn descriptor_of_chain(ids: &[&str]) -> Descriptor {
    let tasks = ids.iter().enumerate().map(|(index, id)| match ids.get(index + 1) {
        Some(next) => format!(r#"{{"id":"{id}","index":{index},"dependencies":["{next}"]}}"#),
        None => format!(r#"{{"id":"{id}","index":{index}}}"#),
    });
    descriptor(&tasks.collect::<Vec<_>>().join(","))
}

#[test]
fn a_huge_workflow_is_checked_in_time_and_a_larger_one_refused() {
    let tasks = |n_tasks: usize| {
        let tasks = (0..n_tasks).map(|place| {
            let dependencies: Vec<_> = (place.saturating_sub(20)..place).map(|parent| format!("t{parent}")).collect();
            let rule = if place > 0 { serde_json::json!({"any": [{"task_failed": "t0"}]}) } else { "always".into() };
            serde_json::json!({"id": format!("t{place}"), "index": place, "dependencies": dependencies, "trigger_rules": rule})
        });
        let workflow = serde_json::json!({"name": "w", "tasks": tasks.collect::<Vec<_>>()});
        let json =
            serde_json::json!({"format": 1, "abi": "1.0", "package": "p", "version": "1.0.0", "workflows": [workflow]});
        Descriptor::parse(&json.to_string()).unwrap()
    };
    assert_eq!(check(&tasks(50_000)), Ok(()));
    let mistakes = check(&tasks(50_001)).unwrap_err();
    assert_eq!(mistakes[0].code(), "DSC0007");
}

#[test]
fn records_that_disagree_are_a_mistake_of_the_descriptor() {
    let kind = MistakeKind::Disagree {
        member: "version",
        first: ("1.0.0".to_owned(), "a".to_owned()),
        second: ("2.0.0".to_owned(), "b".to_owned()),
    };
    assert_eq!(kind.to_string(), "the workflows disagree on version: `1.0.0` in `a`, `2.0.0` in `b`");
}

#[test]
fn an_ordinary_package_has_no_warnings() {
    let descriptor = descriptor(
        r#"{"id":"a","index":0,"retry":{"attempts":2}},{"id":"b","index":1,"retry":{"attempts":1},"timeout_ms":5},
           {"id":"c","index":2,"trigger_rules":"always","on_success":9}"#,
    );
    assert!(warnings(&descriptor).is_empty());
}
