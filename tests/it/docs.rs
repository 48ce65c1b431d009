//! What the documentation tells people to type, typed: the guide's console blocks, the first command of the README, and
//! the two programs of the demonstration, each in the way that a reader would.

use std::{fs, process::Command, time::Duration};

use cloacina_tests::{build_folder, root};

use crate::cmd::program;

/// Building a crate for release on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let guide = folder.path().join("first-package.md");
    fs::copy(root().join("docs/guide/first-package.md"), &guide).unwrap();
    // A transcript with folders of these names runs in a copy of its (empty) input.
    fs::create_dir(guide.with_extension("in")).unwrap();
    fs::create_dir(guide.with_extension("out")).unwrap();
    let cases = trycmd::TestCases::new();
    cases.register_bin("cloacina-ctl", program());
    cases.register_bin("cargo", std::path::PathBuf::from(std::env!("CARGO")));
    // The guide's crate shares what the packages of the other tests were built from.
    cases.env("CARGO_TARGET_DIR", build_folder().display().to_string()).timeout(PATIENCE);
    cases.case(&guide);
    cases.run();
}

#[test]
fn the_first_command_of_the_readme_runs_the_main_job() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let command = readme.lines().find_map(|line| line.strip_prefix("$ ")).unwrap();
    let output = Command::new("sh").args(["-c", command]).current_dir(root()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{stdout}\n{stderr}");
    for text in ["completed public::simple_demo::data_processing", "\"total_processed\": 950"] {
        assert!(stdout.contains(text), "{text} is missing:\n{stdout}\n{stderr}");
    }
}

#[test]
fn the_programs_of_the_demonstration_run_in_its_folder() {
    let cases = [
        ("package_workflow", ["Content digest  sha256:", "collect_data", "lib/libsimple_packaged_demo.so"]),
        ("end_to_end_demo", ["generate_report completed", "run completed", "set final_report = "]),
    ];
    for (program, texts) in cases {
        let output = Command::new("cargo")
            .args(["run", "--quiet", "--example", program])
            .current_dir(root().join("examples/simple_packaged_demo"))
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program}\n{stdout}\n{stderr}");
        for text in texts {
            assert!(stdout.contains(text), "{program}: {text} is missing:\n{stdout}\n{stderr}");
        }
    }
}
