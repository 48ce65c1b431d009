//! One client of the socket, from its hello to its end.
//!
//! A client says one thing at a time and waits for the answer. One that says something out of turn, or nothing for
//! long, is let go of; what it asked for before happens all the same.

use std::{sync::Weak, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::{
    error::{Error, Refusal},
    frame::{self, Budget, Problem},
    package::Parts,
    report::Report,
    wire::{Event, HELLO_BYTES_MAX, Hello, MESSAGE_BYTES_MAX, Message, PROTOCOL, Reply},
};
use crate::{
    Error as EngineError, Records, RunHandle,
    engine::{Engine, Shared, alive},
    id::RunId,
    runtime::{NoticeKind, Notices},
};

/// How long a client may take to say who it is.
const HELLO_WAIT: Duration = Duration::from_secs(5);
/// How long a client may say nothing between two commands.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// Serves one client.
pub(super) async fn serve(stream: UnixStream, shared: &Weak<Shared>, budget: &Budget) {
    match talk(stream, shared, budget).await {
        Ok(()) => {}
        // Whoever goes away or hangs has no need for an answer.
        Err(Problem::Gone(error)) => tracing::debug!(%error, "a client of the socket is gone"),
        Err(Problem::Bad(reason)) => tracing::warn!(reason, "a client of the socket was refused"),
    }
}

async fn talk(stream: UnixStream, shared: &Weak<Shared>, budget: &Budget) -> Result<(), Problem> {
    let peer = stream.peer_cred().map_err(Problem::Gone)?.uid();
    if !is_allowed(peer) {
        return Err(Problem::Bad(format!("it belongs to the user {peer}")));
    }
    let (mut reader, mut writer) = stream.into_split();
    let hello: Hello = match frame::read(&mut reader, HELLO_BYTES_MAX, Some(HELLO_WAIT)).await {
        Ok(hello) => hello,
        Err(problem) => return refuse(&mut writer, problem).await,
    };
    frame::write(&mut writer, &Hello::ours(), HELLO_BYTES_MAX).await?;
    if hello.protocol != PROTOCOL {
        // It has read ours, and says so itself.
        return Err(Problem::Bad(format!("it speaks version {} of the protocol", hello.protocol)));
    }
    let mut parts = Parts::default();
    loop {
        let read = frame::read_within(&mut reader, MESSAGE_BYTES_MAX, Some(IDLE_WAIT), budget);
        let (message, _share) = match read.await {
            Ok(read) => read,
            Err(problem) => return refuse(&mut writer, problem).await,
        };
        match message {
            Message::Do { order, by } => {
                let engine = alive(shared).map(|shared| Engine { shared });
                let result = match engine {
                    Ok(engine) => engine.perform(order, &by).await,
                    Err(error) => Err(error),
                };
                answer(&mut writer, result.map(|report| Reply::Report { report: Box::new(Report::new(report)) }))
                    .await?;
            }
            Message::Trust { tenant, change, by } => {
                let changed = match alive(shared) {
                    Ok(shared) => Engine { shared }.change_trust(&tenant, change, &by).await,
                    Err(error) => Err(error),
                };
                answer(&mut writer, changed.map(|changed| Reply::Trust { changed })).await?;
            }
            Message::Part { hex } => match parts.add(&hex) {
                Ok(()) => {}
                Err(reason) => return refuse(&mut writer, Problem::Bad(reason)).await,
            },
            Message::Package { order, by } => {
                let archive = parts.take();
                let answered = match alive(shared) {
                    Ok(shared) => Engine { shared }.perform_package(order, archive, &by).await,
                    Err(error) => Err(error),
                };
                answer(&mut writer, answered.map(|answer| Reply::Package { answer: Box::new(answer) })).await?;
            }
            Message::Packages => {
                // Each process is looked up in the system's tables.
                let listed = match alive(shared) {
                    Ok(shared) => Ok(Engine { shared }.live_packages()),
                    Err(error) => Err(error),
                };
                answer(&mut writer, listed.map(|packages| Reply::Packages { packages })).await?;
            }
            Message::Follow { run } => follow(shared, run, &mut reader, &mut writer).await?,
        }
    }
}

/// Tells a client what was wrong with what it said.
async fn refuse(writer: &mut OwnedWriteHalf, problem: Problem) -> Result<(), Problem> {
    if let Problem::Bad(reason) = &problem {
        let refusal = Refusal::of_socket(&Error::Message { reason: reason.clone() });
        frame::write(writer, &Reply::Refused { refusal }, MESSAGE_BYTES_MAX).await?;
    }
    Err(problem)
}

async fn answer(writer: &mut OwnedWriteHalf, result: Result<Reply, EngineError>) -> Result<(), Problem> {
    let reply = result.unwrap_or_else(|error| Reply::Refused { refusal: Refusal::new(&error) });
    match frame::write(writer, &reply, MESSAGE_BYTES_MAX).await {
        Err(Problem::Bad(reason)) => {
            let refusal = Refusal::of_socket(&Error::Message { reason });
            frame::write(writer, &Reply::Refused { refusal }, MESSAGE_BYTES_MAX).await
        }
        sent => sent,
    }
}

/// Sends a run's history, and what is added to it, until the run has ended or the client has gone.
async fn follow(
    shared: &Weak<Shared>,
    run: RunId,
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
) -> Result<(), Problem> {
    let begun = async {
        let engine = Engine { shared: alive(shared)? };
        let (notices, database) = (engine.subscribe(), engine.database().to_owned());
        Ok((notices, engine.run(run).await?.watched().await?, database))
    };
    let (mut notices, handle, database) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return answer(writer, Err(error)).await,
    };
    let mut next = 0;
    let ended = handle.wait();
    tokio::pin!(ended);
    let result = loop {
        if let Err(error) = send_new(&handle, &mut next, writer).await? {
            break Err(error);
        }
        tokio::select! {
            result = &mut ended => break result,
            // The history says what happened; a notice only says that there is more of it.
            () = more(&mut notices, run) => {}
            problem = spoke(reader) => return Err(problem),
        }
    };
    if result.is_ok() && send_new(&handle, &mut next, writer).await?.is_err() {
        // The engine may have been there for this run only, and has closed its store. What is durable can be read
        // without it.
        for event in Records::open(&database).and_then(|mut records| records.events(run)).unwrap_or_default() {
            if event.sequence >= next {
                frame::write(writer, &Reply::Event { event: Event::new(event) }, MESSAGE_BYTES_MAX).await?;
            }
        }
    }
    answer(writer, result.map(|report| Reply::Report { report: Box::new(Report::new(report)) })).await
}

/// Sends the rows of the history that were not sent before.
async fn send_new(
    handle: &RunHandle,
    next: &mut i64,
    writer: &mut OwnedWriteHalf,
) -> Result<Result<(), EngineError>, Problem> {
    let events = match handle.events_from(*next).await {
        Ok(events) => events,
        Err(error) => return Ok(Err(error)),
    };
    for event in events {
        *next = event.sequence + 1;
        frame::write(writer, &Reply::Event { event: Event::new(event) }, MESSAGE_BYTES_MAX).await?;
    }
    Ok(Ok(()))
}

/// Waits until something durable has happened to the run, and takes what else has been told meanwhile.
async fn more(notices: &mut Notices, run: RunId) {
    let is_durable = |kind: &NoticeKind| {
        !matches!(kind, NoticeKind::Started | NoticeKind::Log { .. } | NoticeKind::Heartbeat { .. })
    };
    loop {
        let n_dropped = notices.n_dropped();
        let Some(notice) = notices.next().await else { return std::future::pending().await };
        if notices.n_dropped() != n_dropped || notice.run == run && is_durable(&notice.kind) {
            while notices.try_next().is_some() {}
            return;
        }
    }
}

/// Waits for the client's end; it has nothing to say now.
async fn spoke(reader: &mut (impl AsyncRead + Unpin)) -> Problem {
    match reader.read(&mut [0]).await {
        Ok(0) => Problem::Gone(std::io::ErrorKind::UnexpectedEof.into()),
        Ok(_) => Problem::Bad("it spoke out of turn".to_owned()),
        Err(error) => Problem::Gone(error),
    }
}

/// The same user may, and root.
pub(super) fn is_allowed(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
