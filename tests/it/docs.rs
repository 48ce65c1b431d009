//! What the documentation tells people to type, typed: the guides' console blocks, the first command of the README, and
//! the two programs of the demonstration, each in the way that a reader would.

use std::{fs, path::Path, process::Command, time::Duration};

use cloacina_tests::{archive, build_folder, library, root};

use crate::cmd::program;

/// Building a crate for release on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn the_commands_of_the_first_guide_do_what_it_says() {
    follow("first-package", |_, _| {});
}

#[test]
fn the_commands_of_the_guide_on_backups_do_what_it_says() {
    follow("backup", |_, _| {});
}

#[test]
fn the_commands_of_the_guide_on_errors_do_what_it_says() {
    follow("handle-errors", |folder, _| {
        fs::write(folder.join("feeds.cloacina"), archive::example("error_handling")).unwrap();
    });
}

#[test]
fn the_commands_of_the_guide_on_embedding_do_what_it_says() {
    // Of the whole workspace, so that its dependencies are those that are built already.
    let build = ["build", "--quiet", "--workspace", "--bin", "embedded_engine"];
    assert!(Command::new("cargo").args(build).current_dir(root()).status().unwrap().success());
    follow("embed-the-engine", |_, cases| {
        cases.register_bin("embedded_engine", program().with_file_name("embedded_engine"));
    });
}

#[test]
fn the_commands_of_the_guide_on_packages_in_c_do_what_it_says() {
    follow("packages-in-c", |folder, cases| {
        let guide = fs::read_to_string(root().join("docs/guide/packages-in-c.md")).unwrap();
        let (_, source) = guide.split_once("```c\n").unwrap();
        fs::write(folder.join("hello.c"), source.split_once("```").unwrap().0).unwrap();
        for file in ["sdk/include/cloacina.h", "examples/c_package/print_shop.c"] {
            let file = root().join(file);
            fs::copy(&file, folder.join(file.file_name().unwrap())).unwrap();
        }
        let found = Command::new("sh").args(["-c", "command -v cc"]).output().unwrap();
        assert!(found.status.success(), "there is no C compiler: apt-get install gcc libc6-dev");
        cases.register_bin("cc", Path::new(String::from_utf8(found.stdout).unwrap().trim()).to_owned());
    });
}

#[test]
fn the_commands_of_the_guide_on_signing_do_what_it_says() {
    follow("signing", |folder, _| {
        for (source, archive) in [("print_shop", "print_shop"), ("data_processing", "c_demo")] {
            let file = root().join("examples/c_package").join(source).with_extension("c");
            let built = tempfile::tempdir().unwrap();
            let archived = library::pack(&library::compile_file(built.path(), source, &file, &[]));
            fs::write(folder.join(archive).with_extension("cloacina"), archived).unwrap();
        }
    });
}

#[test]
fn the_commands_of_the_guide_on_workflows_as_data_do_what_it_says() {
    let guide = fs::read_to_string(root().join("docs/guide/workflows-as-data.md")).unwrap();
    let nightly = fs::read_to_string(root().join("examples/workflows_as_data/nightly.toml")).unwrap();
    assert!(guide.contains(&nightly), "the guide shows the file of the example");
    follow("workflows-as-data", |folder, _| {
        fs::write(folder.join("demo.cloacina"), archive::example("simple_packaged_demo")).unwrap();
        for file in ["nightly.toml", "faster.toml", "mistakes.toml"] {
            fs::copy(root().join("examples/workflows_as_data").join(file), folder.join(file)).unwrap();
        }
    });
}

#[test]
fn the_commands_of_the_guide_on_servers_do_what_it_says() {
    follow("server", |folder, _| {
        fs::copy(root().join("examples/config/production.toml"), folder.join("production.toml")).unwrap();
        fs::write(folder.join("database-url"), "postgres://cloacina:secret@db.internal/runs\n").unwrap();
    });
}

/// Types the console blocks of a guide, in an empty folder but for what `prepare` puts there.
fn follow(name: &str, prepare: impl FnOnce(&Path, &trycmd::TestCases)) {
    let folder = tempfile::tempdir().unwrap();
    let guide = folder.path().join(format!("{name}.md"));
    fs::copy(root().join("docs/guide").join(format!("{name}.md")), &guide).unwrap();
    // A transcript with folders of these names runs in a copy of its input.
    fs::create_dir(guide.with_extension("in")).unwrap();
    fs::create_dir(guide.with_extension("out")).unwrap();
    let cases = trycmd::TestCases::new();
    prepare(&guide.with_extension("in"), &cases);
    cases.register_bin("cloacina-ctl", program());
    cases.register_bin("cargo", std::path::PathBuf::from(std::env!("CARGO")));
    // The guide's crate shares what the packages of the other tests were built from.
    // Its own user, without a database.
    cases.env("XDG_DATA_HOME", folder.path().join("data").display().to_string());
    cases.env("CARGO_TARGET_DIR", build_folder().display().to_string()).timeout(PATIENCE);
    cases.case(&guide);
    cases.run();
}

#[test]
fn the_first_command_of_the_readme_runs_the_main_job() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let command = readme.lines().find_map(|line| line.strip_prefix("$ ")).unwrap();
    let data = tempfile::tempdir().unwrap();
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(root()).env("XDG_DATA_HOME", data.path()).output().unwrap()
    };
    let output = shell(command);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}\n{stdout}\n{stderr}");
    for text in ["completed public::simple_demo::data_processing", "\"total_processed\": 950"] {
        assert!(stdout.contains(text), "{text} is missing:\n{stdout}\n{stderr}");
    }
    // A new user can show the run.
    let (before, _) = command.split_once(" run examples").unwrap();
    let output = shell(&format!("{before} runs list"));
    let listed = String::from_utf8_lossy(&output.stdout);
    assert!(listed.contains("simple_demo::data_processing  completed  3/3"), "{listed}");
}

#[test]
fn the_programs_of_the_demonstration_run_in_their_folders() {
    let cases = [
        (
            "simple_packaged_demo",
            "package_workflow",
            ["Content digest  sha256:", "collect_data", "lib/libsimple_packaged_demo.so"],
        ),
        ("embedded_engine", "end_to_end_demo", ["generate_report completed", "run completed", "set final_report = "]),
    ];
    for (folder, program, texts) in cases {
        let output = Command::new("cargo")
            .args(["run", "--quiet", "--example", program])
            .current_dir(root().join("examples").join(folder))
            .output()
            .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program}\n{stdout}\n{stderr}");
        for text in texts {
            assert!(stdout.contains(text), "{program}: {text} is missing:\n{stdout}\n{stderr}");
        }
    }
}
