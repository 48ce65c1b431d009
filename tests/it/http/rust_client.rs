//! The Rust client against a server in a process of its own: the life of a package and of its runs, and a stream over
//! connections that break.

use std::{collections::BTreeSet, net::SocketAddr};

use cloacina::{Class, LogFilter, PackageFilter, PackageState, RunState, WorkflowFilter};
use cloacina_client::{
    Again, BulkDone, BulkFilter, BulkVerb, Client, Follower, Item, NewPackage, NewRun, Options, Outcome, RunQuery, Verb,
};
use futures_util::TryStreamExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::client::Served;
use crate::steer::Place;

fn client(url: &str) -> Client {
    Client::new(url, Options::default()).unwrap()
}

async fn register(client: &Client, place: &Place) {
    let archive = place.path().join("steered.cloacina");
    client.package_register(&NewPackage { archive, ..NewPackage::default() }).await.unwrap();
}

/// All that is told until the run has ended.
async fn told(mut follower: Follower) -> Vec<String> {
    let mut items = Vec::new();
    while let Some(item) = follower.next().await.unwrap() {
        items.push(format!("{item:?}"));
    }
    items
}

#[tokio::test]
async fn a_package_lives_through_the_client() {
    let place = Place::new();
    let served = Served::start(&place);
    let client = client(&served.url);
    let health = client.health().await.unwrap();
    assert_eq!((health.status.as_str(), health.checks.len()), ("ok", 1));

    let archive = place.path().join("steered.cloacina");
    let new = NewPackage { archive, ..NewPackage::default() };
    let registered = client.package_register(&new).await.unwrap();
    assert!(registered.registration.is_some_and(|registration| registration.is_new));
    let again = client.package_register(&new).await.unwrap();
    assert!(again.registration.is_some_and(|registration| !registration.is_new));
    let record = client.package("public::steered@0.1.0").await.unwrap();
    assert_eq!((record.state, record.share), (PackageState::Active, 100));
    let listed: Vec<_> = client.packages(&PackageFilter::default()).try_collect().await.unwrap();
    assert_eq!(listed, [record]);
    let current = WorkflowFilter { current: true, ..WorkflowFilter::default() };
    let names: BTreeSet<String> =
        client.workflows(&current).map_ok(|workflow| workflow.name).try_collect().await.unwrap();
    let held = client.workflow("held").await.unwrap();
    assert_eq!(held.workflow.tasks.len(), 3);
    assert_eq!(names.len(), 3, "{names:?}");

    let retired = client.package_retire("steered@0.1.0").await.unwrap();
    assert_eq!(retired.state, PackageState::Retired);
    let active = client.package_activate("steered@0.1.0", None).await.unwrap();
    assert_eq!(active.state, PackageState::Active);
    let bad = client.package_quarantine("steered", "it is suspect").await.unwrap();
    assert_eq!(bad.quarantine.unwrap().reason, "it is suspect");
    assert_eq!(client.package_release("steered@0.1.0").await.unwrap().state, PackageState::Active);
    let refused = client.package_roll_back("steered").await.unwrap_err();
    assert!(!refused.hints().is_empty() && refused.request_id().is_some_and(|id| !id.is_empty()), "{refused:?}");
    let events: Vec<&str> =
        client.package_events("steered").await.unwrap().iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(events, ["registered", "activated", "retired", "activated", "quarantined", "released"]);
    client.package_remove("steered@0.1.0").await.unwrap();
    let gone = client.package("steered@0.1.0").await.unwrap_err();
    assert_eq!(gone.class(), Class::NotFound, "{gone:?}");
    assert_eq!(served.end(), Some(0));
}

#[tokio::test]
async fn a_run_lives_through_the_client() {
    let place = Place::new();
    let served = Served::start(&place);
    let client = client(&served.url);
    register(&client, &place).await;

    let input = serde_json::json!({"number": 7, "password": "TopSecret99"}).as_object().unwrap().clone();
    let new = NewRun { input, secrets: vec!["password".to_owned()], ..NewRun::new("held") };
    let run = client.submit_once(&new, "once").await.unwrap();
    assert_eq!(client.submit_once(&new, "once").await.unwrap(), run, "the same key is the same run");
    assert_eq!(client.control(run, Verb::Pause).await.unwrap().state, RunState::Paused);
    let why = client.why(run).await.unwrap();
    assert_eq!((why.waiting.len(), why.state), (2, RunState::Paused));
    assert_eq!(client.control(run, Verb::Resume).await.unwrap().state, RunState::Running);

    let mut follower = client.follow(run);
    assert!(matches!(follower.next().await.unwrap(), Some(Item::Event(event)) if event.kind == "run_created"));
    let place_of_first = follower.last_id().unwrap().to_owned();
    place.put("go");
    let rest = told(follower).await;
    assert!(rest.last().is_some_and(|item| item.starts_with("Ended") && item.contains("Completed")), "{rest:?}");
    assert_eq!(told(client.follow(run).after(&place_of_first)).await, rest, "a later stream goes on after an item");

    let report = client.run(run).await.unwrap();
    assert_eq!((report.state, report.n_completed()), (RunState::Completed, 3));
    let tasks = client.tasks(run).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>(), ["wait", "second", "third"]);
    assert_eq!(client.task(run, "second").await.unwrap().id, "second");
    let events = client.events(run, None).await.unwrap();
    assert_eq!(events.len(), rest.len(), "the first event was told before, and the end is none");
    assert!(client.events(run, Some("second")).await.unwrap().len() < events.len());
    assert!(client.logs(run, &LogFilter { tail: Some(5), ..LogFilter::default() }).await.unwrap().is_empty());
    assert_eq!(client.context(run).await.unwrap().context.get("number"), Some(&7.into()));
    assert_eq!(client.usage(run).await.unwrap().total.n_attempts, 3);
    client.run_delete(run).await.unwrap();
    let gone = client.run(run).await.unwrap_err();
    assert_eq!((gone.code(), gone.class()), ("RUN0004", Class::NotFound), "{gone:?}");
}

#[tokio::test]
async fn runs_are_submitted_listed_and_steered_in_numbers() {
    let place = Place::new();
    let served = Served::start(&place);
    let client = client(&served.url);
    register(&client, &place).await;
    let mut new = vec![NewRun { held: true, ..NewRun::new("held") }; 5];
    new.push(NewRun::new("nothing"));
    let outcomes = client.submit_all(&new).await.unwrap();
    let submitted: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Submitted { run } => Some(*run),
            _ => None,
        })
        .collect();
    assert_eq!(submitted.len(), 5);
    assert!(matches!(&outcomes[5], Outcome::Refused { problem } if problem.code == "RUN0001"));

    let pending = RunQuery { states: vec![RunState::Pending], ..RunQuery::default() };
    let first = client.run_page(&pending, 2, None).await.unwrap();
    let second = client.run_page(&pending, 2, first.next.as_deref()).await.unwrap();
    let all: Vec<_> = client.runs(&pending).try_collect().await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!([first.items, second.items].concat(), all[..4]);
    let one = client.runs_named(&submitted[0].to_string(), 10).await.unwrap();
    assert_eq!(one.iter().map(|run| run.status.id).collect::<Vec<_>>(), submitted[..1]);
    let short = client.short_ids(&submitted).await.unwrap();
    assert!(submitted.iter().all(|run| run.to_string().starts_with(&short[run])), "{short:?}");
    assert_eq!(short.values().collect::<BTreeSet<_>>().len(), 5, "no two have the same");

    let held = BulkFilter { workflow: Some("held".to_owned()), ..BulkFilter::default() };
    for (dry, expected) in [(true, BulkDone::WouldBeAsked), (false, BulkDone::Done), (false, BulkDone::Refused)] {
        let outcomes = client.control_all(BulkVerb::Cancel, &held, dry).await.unwrap();
        assert!(outcomes.len() == 5 && outcomes.iter().all(|one| one.outcome == expected), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_failed_run_is_run_again_through_the_client() {
    let place = Place::new();
    let served = Served::start(&place);
    let client = client(&served.url);
    register(&client, &place).await;
    let failed = client.submit(&NewRun::new("flaky")).await.unwrap();
    assert!(told(client.follow(failed)).await.last().unwrap().contains("Failed"));
    let dead: Vec<_> = client.dead_letters().try_collect().await.unwrap();
    assert_eq!(dead.iter().map(|run| run.status.id).collect::<Vec<_>>(), [failed]);
    place.put("well");
    let again = client.rerun(failed, &Again { failed: true, ..Again::default() }).await.unwrap();
    let forked = client.fork(failed, "shaky", &Again::default()).await.unwrap();
    for new in [again, forked] {
        assert!(told(client.follow(new.id)).await.last().unwrap().contains("Completed"));
    }
    client.control(failed, Verb::Dismiss).await.unwrap();
    assert!(client.dead_letters().try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_outlives_its_connections() {
    let place = Place::new();
    let served = Served::start(&place);
    let direct = client(&served.url);
    register(&direct, &place).await;
    place.put("go");
    let run = direct.submit(&NewRun::new("held")).await.unwrap();
    let whole = told(direct.follow(run)).await;
    assert!(whole.len() > 6, "{whole:?}");

    // The first item is some hundred bytes behind the head, and no connection carries all of them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server: SocketAddr = served.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut connections = JoinSet::new();
    let cut = async {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            connections.spawn(forward(near, server, 1_500));
        }
    };
    let items = tokio::select! {
        items = told(client(&url).follow(run)) => items,
        () = cut => Vec::new(),
    };
    assert_eq!(items, whole, "without loss or repetition");
    assert!(connections.len() > 1, "there were {} connections", connections.len());
}

/// Passes on what the client says, and so many bytes of what the server answers; then breaks the connection.
async fn forward(near: TcpStream, server: SocketAddr, n_bytes: u64) {
    let far = TcpStream::connect(server).await.unwrap();
    let ((mut near_read, mut near_write), (far_read, mut far_write)) = (near.into_split(), far.into_split());
    let up = async { tokio::io::copy(&mut near_read, &mut far_write).await };
    let down = async { tokio::io::copy(&mut far_read.take(n_bytes), &mut near_write).await };
    tokio::select! {
        _ = up => {}
        _ = down => {}
    }
    near_write.shutdown().await.ok();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = client("http://127.0.0.1:1").health().await.unwrap_err();
    assert_eq!((error.code(), error.class()), ("CLN0002", Class::Unavailable));
    assert_eq!(error.to_string(), "the server http://127.0.0.1:1 cannot be reached");
    assert!(error.hints()[0].contains("check the address"), "{:?}", error.hints());
}
