//! Drawings: what they show, and that names cannot break out of them.

use std::process::Command;

use cloacina_packager::{Graph, draw};
use cloacina_workflow::descriptor::Descriptor;

use crate::support::DIAMOND;

fn graph(name: &str, tasks: &[(&str, &[&str])]) -> Graph {
    let tasks: Vec<_> = tasks
        .iter()
        .enumerate()
        .map(|(index, (id, dependencies))| serde_json::json!({"id": id, "index": index, "dependencies": dependencies}))
        .collect();
    let json = serde_json::json!({"format": 1, "abi": "1.0", "package": "p", "version": "1.0.0",
        "workflows": [{"name": name, "tasks": tasks}]});
    Graph::new(&Descriptor::parse(&json.to_string()).unwrap().workflows[0]).unwrap()
}

fn diamond() -> Graph {
    Graph::new(&Descriptor::parse(DIAMOND).unwrap().workflows[0]).unwrap()
}

/// Some twenty tasks: several roots, diamonds, edges over several levels.
fn large() -> Graph {
    graph(
        "large",
        &[
            ("read_orders", &[]),
            ("read_customers", &[]),
            ("read_prices", &[]),
            ("check_orders", &["read_orders"]),
            ("check_customers", &["read_customers"]),
            ("check_prices", &["read_prices"]),
            ("join", &["check_orders", "check_customers"]),
            ("price", &["join", "check_prices"]),
            ("taxes", &["price"]),
            ("discounts", &["price", "check_customers"]),
            ("total", &["taxes", "discounts"]),
            ("fraud", &["join"]),
            ("approve", &["total", "fraud"]),
            ("invoice", &["approve"]),
            ("ship", &["approve"]),
            ("mail", &["invoice", "read_customers"]),
            ("archive", &["invoice", "ship"]),
            ("report", &["archive", "mail", "total"]),
            ("metrics", &["report"]),
            ("clean", &["report"]),
        ],
    )
}

#[test]
fn a_chain_is_a_line() {
    let graph = graph("data", &[("collect", &[]), ("process", &["collect"]), ("report", &["process"])]);
    let expected = "\
data: 3 tasks on 3 levels

0  *  collect
   |
1  *  process  <- collect
   |
2  *  report   <- process
";
    assert_eq!(draw::ascii(&graph), expected);
}

#[test]
fn a_diamond_opens_and_closes() {
    let expected = "\
shape: 4 tasks on 3 levels

0  *    top
   +-.
1  * |  left    <- top
   | |
1  | *  right   <- top
   +-'
2  *    bottom  <- left, right
";
    assert_eq!(draw::ascii(&diamond()), expected);
}

#[test]
fn a_large_graph_shows_every_task_and_every_edge_once() {
    let graph = large();
    let text = draw::ascii(&graph);
    assert!(text.is_ascii());
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    let dot = draw::dot(&graph);
    let svg = draw::svg(&graph);
    let mut n_edges = 0;
    for task in 0..graph.n_tasks() {
        let id = graph.id(task);
        assert_eq!(
            text.lines()
                .filter(|line| line.split("<-").next().unwrap().ends_with(&format!(" {id}"))
                    || line.contains(&format!("  {id} ")))
                .count(),
            1,
            "{id} in {text}"
        );
        assert_eq!(svg.matches(&format!(">{id}<")).count(), 1, "{id}");
        for child in graph.children(task) {
            n_edges += 1;
            assert!(dot.contains(&format!("\"{id}\" -> \"{}\";", graph.id(child))));
        }
    }
    assert_eq!(dot.matches(" -> ").count(), n_edges);
    assert_eq!(svg.matches("marker-end=").count(), n_edges);
    assert_eq!((text, dot, svg), (draw::ascii(&graph), draw::dot(&graph), draw::svg(&graph)));
}

#[test]
fn names_cannot_break_out_of_a_drawing() {
    let graph = graph("</title><script>alert(1)</script>", &[("\"];x", &[]), ("a&b<c>'\u{1}", &["\"];x"])]);
    let svg = draw::svg(&graph);
    assert!(!svg.contains("<script"));
    assert!(svg.contains("a&amp;b&lt;c&gt;&#39;\u{fffd}"));
    assert!(draw::dot(&graph).contains("\"\\\"];x\" -> "));
}

#[test]
fn the_svg_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graph.svg");
    std::fs::write(&path, draw::svg(&large())).unwrap();
    let script = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])";
    // Where there is no Python the other tests have to do.
    if let Ok(done) = Command::new("python3").args(["-c", script]).arg(&path).output() {
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_drawing_costs_by_the_size_of_its_graph() {
    let names: Vec<String> = (0..5_000).map(|number| format!("t{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut tasks: Vec<(&str, &[&str])> = vec![("first", &[])];
    tasks.extend(all.iter().map(|name| (*name, &["first"][..])));
    tasks.push(("last", &all));
    let text = draw::ascii(&graph("wide", &tasks));
    assert!(text.len() < 5_002 * 100, "{} bytes", text.len());
    let last = text.lines().last().unwrap();
    assert!(last.contains("last   <- t0, t1, t2") && last.ends_with("t19 and 4980 more"), "{last}");
}
