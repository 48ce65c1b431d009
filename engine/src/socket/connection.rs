//! One client of the socket, from its hello to its end.
//!
//! A client says one thing at a time and waits for the answer. The connection of one that says something out of turn, or
//! nothing for long, is closed, and so is one that is idle when its place is needed; what was asked before happens all
//! the same.

use std::{sync::Weak, time::Duration};

use cloacina_packager::Limits;
use tokio::{
    io::AsyncReadExt,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{
    error::{Error, Refusal},
    frame::{self, Incoming, Problem, Received},
    peer::{Peer, Stranger},
    spool::{self, SpoolError, Spooled},
    table::{Seat, Stage},
    wire::{HELLO_BYTES_MAX, Hello, MESSAGE_BYTES_MAX, Message, PROTOCOL, Reply},
};
use crate::{
    Error as EngineError,
    api::Caller,
    engine::{Engine, Shared, alive},
    id::RunId,
};

/// How long a client may take to say who it is.
const HELLO_WAIT: Duration = Duration::from_secs(5);
/// How long a client may say nothing between two commands.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// What a client may send, and for how long, whose connection is closed: what nobody reads would hide the answer.
const UNREAD_BYTES_MAX: u64 = 1 << 20;
const UNREAD_WAIT: Duration = Duration::from_secs(1);

/// Serves one client for as long as its place is not needed for another.
pub(super) async fn serve(stream: UnixStream, seat: &Seat, shared: &Weak<Shared>) {
    let talked = tokio::select! {
        biased;
        () = seat.closed() => return tracing::debug!("the connection of an idle client was closed to make room"),
        talked = talk(stream, seat, shared) => talked,
    };
    match talked {
        Ok(()) => {}
        // A client that goes away or hangs has no need for an answer.
        Err(Problem::Gone(error)) => tracing::debug!(%error, "a client of the socket is gone"),
        Err(Problem::Bad(reason)) => tracing::warn!(reason, "a client of the socket was refused"),
        Err(Problem::Crowded) => tracing::warn!("a client of the socket was refused because a limit is reached"),
        Err(Problem::Disk(error)) => tracing::warn!(%error, "a client of the socket was refused"),
    }
}

/// Tells a client for which there is no place.
pub(super) async fn turn_away(stream: UnixStream, error: &Error) {
    let (reader, mut writer) = stream.into_split();
    let refusal = Reply::Refused { refusal: Refusal::of_socket(error) };
    let told = async {
        frame::write(&mut writer, &Hello::ours(), HELLO_BYTES_MAX).await?;
        frame::write(&mut writer, &refusal, MESSAGE_BYTES_MAX).await
    };
    match told.await {
        Ok(()) => drain(&mut Incoming::new(reader)).await,
        Err(problem) => tracing::debug!(?problem, "a client of the socket could not be told that a limit is reached"),
    }
}

/// Takes what a client still sends, not for long.
async fn drain(incoming: &mut Incoming<OwnedReadHalf>) {
    let (mut unread, mut nowhere) = (incoming.raw().take(UNREAD_BYTES_MAX), tokio::io::sink());
    // However that ends, the connection is closed next.
    timeout(UNREAD_WAIT, tokio::io::copy(&mut unread, &mut nowhere)).await.ok();
}

async fn talk(stream: UnixStream, seat: &Seat, shared: &Weak<Shared>) -> Result<(), Problem> {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(Stranger::Unknown(error)) => return Err(Problem::Gone(error)),
        Err(Stranger::User(uid)) => return Err(Problem::Bad(format!("it belongs to the user {uid}"))),
        Err(Stranger::Confined(reason)) => {
            turn_away(stream, &Error::Confined { reason: reason.clone() }).await;
            return Err(Problem::Bad(reason));
        }
    };
    let (reader, mut writer) = stream.into_split();
    let mut incoming = Incoming::new(reader);
    let hello = incoming.message(HELLO_BYTES_MAX, None);
    let hello: Hello = match timeout(HELLO_WAIT, hello).await.unwrap_or_else(|_| Err(frame::late())) {
        Ok(hello) => hello,
        Err(problem) => return refuse(&mut writer, problem).await,
    };
    frame::write(&mut writer, &Hello::ours(), HELLO_BYTES_MAX).await?;
    if hello.protocol != PROTOCOL {
        // It has read ours, and says so itself.
        return Err(Problem::Bad(format!("it speaks version {} of the protocol", hello.protocol)));
    }
    let mut upload = None;
    loop {
        let idle_max = if upload.is_some() {
            frame::FRAME_WAIT
        } else {
            set(seat, Stage::Idle, &mut writer).await?;
            IDLE_WAIT
        };
        let spool = &seat.table.spool;
        let received = match incoming.received(MESSAGE_BYTES_MAX, Some(idle_max), spool).await {
            Ok(received) => received,
            Err(problem) => return refuse(&mut writer, problem).await,
        };
        let (message, permit) = match received {
            Received::Message(message, permit) => (message, permit),
            Received::Bytes(part) => {
                upload = match receive(upload, part, seat).await {
                    Ok(upload) => Some(upload),
                    Err(refusal) => {
                        let told = tell(&mut writer, refusal).await;
                        drain(&mut incoming).await;
                        return told;
                    }
                };
                continue;
            }
        };
        match message {
            Message::Follow { run } => {
                drop(permit);
                if set(seat, Stage::Following, &mut writer).await? {
                    follow(shared, run, &mut incoming, &mut writer).await?;
                }
            }
            Message::Wait { run } => {
                drop(permit);
                if set(seat, Stage::Following, &mut writer).await? {
                    wait(shared, run, &mut incoming, &mut writer).await?;
                }
            }
            request => {
                set(seat, Stage::Busy, &mut writer).await?;
                let reply = perform(request, upload.take(), &peer, seat, shared).await;
                drop(permit);
                answer(&mut writer, reply).await?;
            }
        }
    }
}

/// Says what the connection is used for from now on; false if there is no room for that, and the client has been told.
async fn set(seat: &Seat, stage: Stage, writer: &mut OwnedWriteHalf) -> Result<bool, Problem> {
    match seat.set(stage) {
        Ok(()) => Ok(true),
        Err(error) => tell(writer, Refusal::of_socket(&error)).await.map(|()| false),
    }
}

/// Does what is asked for at once.
async fn perform(
    request: Message,
    upload: Option<Spooled>,
    peer: &Peer,
    seat: &Seat,
    shared: &Weak<Shared>,
) -> Result<Reply, EngineError> {
    let engine = Engine { shared: alive(shared)?, caller: Caller::owner() };
    match request {
        Message::Do { order, by } => {
            let report = engine.perform(order, &peer.actor(by)).await?;
            Ok(Reply::Report { report: Box::new(report) })
        }
        Message::Trust { tenant, change, by } => {
            Ok(Reply::Trust { changed: engine.change_trust(&tenant, change, &peer.actor(by)).await? })
        }
        Message::Package { order, by } => {
            let upload = upload.filter(|_| order.has_upload());
            let (archive, _permit) = match upload {
                None => (Vec::new(), None),
                Some(upload) => {
                    let permit = seat.table.spool.room().await;
                    (upload.read().await?, permit)
                }
            };
            let answer = engine.perform_package(order, archive, &peer.actor(by)).await?;
            Ok(Reply::Package { answer: Box::new(answer) })
        }
        // Each process is looked up in the system's tables.
        Message::Packages => Ok(Reply::Packages { packages: engine.live_packages() }),
        Message::Follow { .. } | Message::Wait { .. } => {
            let refusal = Refusal::of_socket(&Error::Message { reason: "it is not answered like this".to_owned() });
            Ok(Reply::Refused { refusal })
        }
    }
}

/// Adds the part of an archive that comes next on the connection to what came before.
async fn receive(upload: Option<Spooled>, part: Vec<u8>, seat: &Seat) -> Result<Spooled, Refusal> {
    let bad = |reason| Refusal::of_socket(&Error::Message { reason });
    let bytes_max = Limits::default().compressed_bytes_max;
    let kept = |error| match error {
        SpoolError::Full => {
            Refusal::of_socket(&Error::Crowded { what: "bytes of archives".to_owned(), max: spool::DISK_BYTES })
        }
        SpoolError::Disk(error) => Refusal::of_registry(&error),
    };
    let spool = &seat.table.spool;
    let upload = match upload {
        Some(upload) => upload,
        None => {
            seat.set(Stage::Uploading).map_err(|error| Refusal::of_socket(&error))?;
            spool.begin().await.map_err(kept)?
        }
    };
    if upload.n_bytes() + part.len() as u64 > bytes_max {
        return Err(bad(format!("the archive has more than {bytes_max} bytes")));
    }
    spool.add(upload, part).await.map_err(kept)
}

/// Tells a client what was wrong with what it said.
async fn refuse(writer: &mut OwnedWriteHalf, problem: Problem) -> Result<(), Problem> {
    let crowded = || Error::Crowded { what: "bytes of long messages".to_owned(), max: spool::DISK_BYTES };
    let refusal = match &problem {
        Problem::Bad(reason) => Refusal::of_socket(&Error::Message { reason: reason.clone() }),
        Problem::Crowded => Refusal::of_socket(&crowded()),
        Problem::Disk(error) => Refusal::of_registry(error),
        Problem::Gone(_) => return Err(problem),
    };
    tell(writer, refusal).await?;
    Err(problem)
}

async fn tell(writer: &mut OwnedWriteHalf, refusal: Refusal) -> Result<(), Problem> {
    frame::write(writer, &Reply::Refused { refusal }, MESSAGE_BYTES_MAX).await
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

/// Waits until a run has ended or the client has gone.
async fn wait(
    shared: &Weak<Shared>,
    run: RunId,
    incoming: &mut Incoming<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<(), Problem> {
    let ended = async {
        let engine = Engine { shared: alive(shared)?, caller: Caller::owner() };
        let handle = engine.run(run).await?.watched().await?;
        // The engine may end before the run; it does not stay for those who wait.
        drop(engine);
        handle.wait().await
    };
    let result = tokio::select! {
        result = ended => result,
        problem = incoming.end() => return Err(problem),
    };
    answer(writer, result.map(|report| Reply::Report { report: Box::new(report) })).await
}

/// Sends a run's history, and what is added to it, until the run has ended or the client has gone.
async fn follow(
    shared: &Weak<Shared>,
    run: RunId,
    incoming: &mut Incoming<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<(), Problem> {
    let begun = async {
        let engine = Engine { shared: alive(shared)?, caller: Caller::owner() };
        // The engine may end before the run; it does not stay for those who follow.
        let handle = engine.run(run).await?.watched().await?;
        Ok((handle.follow().await?, handle))
    };
    let (mut events, handle) = match begun.await {
        Ok(begun) => begun,
        Err(error) => return answer(writer, Err(error)).await,
    };
    let result = loop {
        let event = tokio::select! {
            event = events.next() => event,
            problem = incoming.end() => return Err(problem),
        };
        match event {
            Some(Ok(event)) => frame::write(writer, &Reply::Event { event }, MESSAGE_BYTES_MAX).await?,
            Some(Err(error)) => break Err(error),
            None => break handle.wait().await,
        }
    };
    answer(writer, result.map(|report| Reply::Report { report: Box::new(report) })).await
}
