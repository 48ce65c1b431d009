//! The pages of Swagger UI in a real browser, Chromium without a window: they show every operation, nothing fails in them, and
//! they ask no other host.
//!
//! The browser writes down what it requests and what pages print on its console; a picture of the page is made as well, so that
//! drawing it is part of the test. `CLOACINA_TEST_SCREENSHOT=FILE` keeps the picture.

use std::{
    fs,
    process::{Command, Output},
};

use cloacina::Value;

use super::client::Served;
use crate::steer::Place;

/// A picture of a page that has only its background is much smaller.
const PICTURE_BYTES_MIN: u64 = 50_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "the picture is asked for by a variable")]
fn the_pages_show_every_operation_in_a_browser() {
    let place = Place::new();
    let served = Served::start(&place);
    let output = browse(&place, &format!("{}/swagger-ui/", served.url));
    let (page, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{said}");
    let printed: Vec<&str> = said.lines().filter(|line| line.contains(":CONSOLE")).collect();
    assert!(printed.is_empty(), "the page prints on the console: {printed:?}");

    let described = served.get("/openapi.json");
    let mut n_operations = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let (tag, id) = (operation["tags"][0].as_str().unwrap(), operation["operationId"].as_str().unwrap());
            assert!(page.contains(&format!("id=\"operations-{tag}-{id}\"")), "{path}: {id} is not shown");
            n_operations += 1;
        }
    }
    assert!(n_operations > 80, "{n_operations}");
    assert_eq!(page.matches("class=\"opblock opblock-").count(), n_operations);
    assert!(page.contains("btn authorize"), "the page asks for no credential");

    let requested = requests(&place, &served.url);
    assert!(requested.iter().any(|url| url.ends_with("/openapi.json")), "{requested:?}");
    assert!(requested.iter().all(|url| url.starts_with(&served.url)), "{requested:?}");
    let picture = place.path().join("page.png");
    assert!(fs::metadata(&picture).unwrap().len() > PICTURE_BYTES_MIN);
    if let Some(file) = std::env::var_os("CLOACINA_TEST_SCREENSHOT") {
        fs::copy(&picture, file).unwrap();
    }
}

/// Opens the page until nothing is left to do in it. The output is the page as it is then.
fn browse(place: &Place, url: &str) -> Output {
    let here = |option: &str, name: &str| format!("--{option}={}", place.path().join(name).display());
    let mut chromium = Command::new("chromium");
    // Tests may run as root, for whom the browser has no sandbox; the only page is that of the server of the test.
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    // The browser itself asks for news now and then, which leads nowhere.
    chromium.args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]);
    chromium.args([here("user-data-dir", "profile"), here("log-net-log", "net.json"), here("screenshot", "page.png")]);
    chromium.args(["--enable-logging=stderr", "--log-level=0", "--window-size=1200,2400"]);
    // Time in the page goes on as soon as it waits for nothing but time.
    chromium.args(["--virtual-time-budget=20000", "--dump-dom", url]);
    let output = chromium.env("HOME", place.path()).current_dir(place.path()).output();
    output.unwrap_or_else(|error| panic!("chromium cannot be started: {error}; on Debian: apt-get install chromium"))
}

/// What the page asked for. What the browser asks for by itself has no page that it comes from.
fn requests(place: &Place, origin: &str) -> Vec<String> {
    let log: Value = serde_json::from_slice(&fs::read(place.path().join("net.json")).unwrap()).unwrap();
    let events = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    let of_page = events.filter(|request| request["initiator"] == origin);
    of_page.map(|request| request["url"].as_str().unwrap().to_owned()).collect()
}
