//! The requests of the guide, sent as they stand there.

use std::{fs, process::Command};

use cloacina_tests::root;

use super::client::Served;
use crate::steer::Place;

#[test]
fn the_requests_of_the_guide_do_what_it_says() {
    let place = Place::new();
    place.put("go");
    fs::rename(place.path().join("steered.cloacina"), place.path().join("my_package.cloacina")).unwrap();
    let served = Served::start(&place);
    let guide = fs::read_to_string(root().join("docs/guide/http.md")).unwrap();
    let blocks = guide.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let mut run: Option<String> = None;
    let mut n_sent = 0;
    for block in blocks.filter(|block| block.starts_with("curl ")) {
        // The guide speaks of a package with one workflow.
        let mut command = block.replace("http://127.0.0.1:8080", &served.url).replace("\"my_package\"", "\"held\"");
        if let Some(run) = &run {
            command = command.replace("RUN", run);
        }
        let shell = command.replacen("curl ", "curl --silent --show-error --fail-with-body --noproxy '*' ", 1);
        let output = Command::new("sh").args(["-c", &shell]).current_dir(place.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
        if let Ok(answer) = serde_json::from_str::<serde_json::Value>(&said) {
            run = answer["run"].as_str().map(str::to_owned).or(run);
        }
        n_sent += 1;
    }
    assert_eq!(n_sent, 3, "the guide has other requests");
    let run = run.expect("a run was submitted");
    for line in guide.lines().filter_map(|line| line.strip_prefix("| `GET /api/v1/runs/RUN")) {
        let (paths, _) = line.split_once(" |").unwrap();
        for path in paths.trim_matches('`').split("`, `") {
            let path = format!("/api/v1/runs/{run}{}", path.trim_end_matches('`'));
            assert_eq!(served.ask(&[&path]).status, 200, "{path}");
        }
    }
}
