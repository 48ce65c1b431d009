//! A server that is killed again and again while clients submit runs: every run that it acknowledged is there and ends, and a
//! submission that is sent again under its key is one run, however often it was answered and however often the answer was lost.
//!
//! ```text
//! test ── SIGKILL, after so many answers ──> server n    the clients learn the address of server n + 1,
//!   ▲                                           ▲        as soon as it listens
//!   └── answers ── four clients ── POST /runs ──┘
//! ```
//! Each of the two databases has half of the fifty kills, and both kinds of clients are there at each of them.

use std::collections::{BTreeMap, BTreeSet};

use cloacina::{AttemptOutcome, RunId, RunState};
use cloacina_client::{Client, Error, NewRun, Options, RunQuery};
use futures_util::TryStreamExt;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::{JoinSet, block_in_place},
};

use super::client::Served;
use crate::{
    disk,
    sharing::{server, wait_until},
    steer::Place,
};

const N_KILLS: usize = 25;

/// Answers before a kill, at most; how many it is goes through all of them in an order of its own.
const ANSWERS_MAX: usize = 16;

/// Clients that submit each run once, and name none.
const PLAIN: usize = 2;

/// Clients that submit the same keys beside each other, and each of them until it is answered.
const RETRYING: usize = 2;

/// Where the clients find the server.
#[derive(Clone)]
struct Server {
    url: String,
    /// No kill follows.
    is_last: bool,
}

/// What a client was answered: the number of the submission, and the run.
type Answer = (Option<usize>, RunId);

/// What all clients were answered.
#[derive(Default)]
struct Answered {
    acknowledged: BTreeSet<RunId>,
    by_key: BTreeMap<usize, BTreeSet<RunId>>,
}

impl Answered {
    fn note(&mut self, (key, run): Answer) {
        self.acknowledged.insert(run);
        if let Some(key) = key {
            self.by_key.entry(key).or_default().insert(run);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills_on_a_file() {
    kill_again_and_again(&Place::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_by_kills_on_a_server() {
    let schema = server();
    kill_again_and_again(&Place { database: schema.url().to_owned(), ..Place::new() }).await;
}

#[expect(clippy::await_holding_lock, reason = "this test alone runs on its runtime")]
async fn kill_again_and_again(place: &Place) {
    let _disk = disk();
    // The tasks end at once.
    place.put("go");
    let mut served = Served::start(place);
    served.register(&place.path().join("steered.cloacina"));
    let here = |served: &Served, is_last| Server { url: served.url.clone(), is_last };
    let (address, known) = watch::channel(here(&served, false));
    let (answers, mut heard) = mpsc::channel(1);
    let mut clients = JoinSet::new();
    for number in 0..PLAIN + RETRYING {
        clients.spawn(submit(known.clone(), answers.clone(), number < RETRYING));
    }
    drop((known, answers));
    let mut answered = Answered::default();
    for kill in 1..=N_KILLS {
        for _ in 0..=kill * 7 % ANSWERS_MAX {
            answered.note(heard.recv().await.unwrap());
        }
        served.signal("KILL");
        // What it answered before counts.
        served = Served::start(place);
        address.send_replace(here(&served, kill == N_KILLS));
    }
    while let Some(answer) = heard.recv().await {
        answered.note(answer);
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    audit(&client(&served.url), &answered).await;
    assert_eq!(served.end(), Some(0));
}

/// A client, until the last server has answered it. One that sends again what was not answered has keys, which all such clients
/// use in the same order.
async fn submit(mut address: watch::Receiver<Server>, answers: mpsc::Sender<Answer>, is_retrying: bool) {
    let mut number = 0;
    loop {
        let Server { url, is_last } = address.borrow_and_update().clone();
        let client = client(&url);
        loop {
            let new = NewRun::new("held");
            let submitted = match is_retrying {
                true => client.submit_once(&new, &format!("key-{number}")).await,
                false => client.submit(&new).await,
            };
            match submitted {
                Ok(run) => answers.send((is_retrying.then_some(number), run)).await.unwrap(),
                Err(refused @ Error::Refused { .. }) => panic!("{refused}"),
                // The server is gone.
                Err(_) => break,
            }
            number += 1;
            if is_last {
                return;
            }
        }
        address.changed().await.unwrap();
    }
}

fn client(url: &str) -> Client {
    Client::new(url, Options::default()).unwrap()
}

/// Every run ends; all that were acknowledged are there, and each key has one.
async fn audit(client: &Client, answered: &Answered) {
    let listed: Vec<_> = client.runs(&RunQuery::default()).try_collect().await.unwrap();
    let listed: BTreeSet<RunId> = listed.into_iter().map(|run| run.status.id).collect();
    let lost: Vec<_> = answered.acknowledged.difference(&listed).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(answered.acknowledged.len() > N_KILLS && answered.by_key.len() > 1, "too little was submitted");
    for (key, runs) in &answered.by_key {
        assert_eq!(runs.len(), 1, "key {key}: {runs:?}");
    }
    for run in &listed {
        // Where engines share a database, the runs of one that was killed wait until its lease has run out.
        let report = || block_in_place(|| Handle::current().block_on(client.run(*run))).unwrap();
        wait_until(&format!("the end of {run}"), || report().state.is_terminal());
        let report = report();
        // A task fails that ran at one kill after the other, as it may be what kills the server.
        let was_interrupted = report.tasks.iter().any(|task| task.outcome == Some(AttemptOutcome::Interrupted));
        let is_expected = report.state == RunState::Completed || (report.state == RunState::Failed && was_interrupted);
        assert!(is_expected, "{report:?}");
    }
    // What was not answered may be there, too, but not twice: each key that was sent is one of those that were answered.
    let keyed: BTreeSet<RunId> = answered.by_key.values().flatten().copied().collect();
    assert_eq!(keyed.len(), answered.by_key.len(), "two keys have the same run");
}
