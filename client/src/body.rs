//! Bodies of requests: nothing, JSON, or what is read while it is sent.
//!
//! Nothing that is read is whole in memory: a file goes to the connection in pieces, as fast as the server takes them.

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::Serialize;
use tokio::{fs::File, io::AsyncReadExt};

use crate::error::Error;

/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The body of a request.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// A body that is in memory.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Body {
    // What is sent are texts, numbers and what was JSON before.
    whole(serde_json::to_vec(value).expect("invariant: requests have a form in JSON"))
}

/// The bytes of a file between two texts, read while they are sent.
pub(crate) async fn file(before: String, path: &Path, after: String) -> Result<Body, Error> {
    let opened = File::open(path).await;
    let file = opened.map_err(|source| Error::File { path: path.to_owned(), source })?;
    let state = Part::Before { before, file, path: path.to_owned(), after };
    Ok(StreamBody::new(stream::unfold(state, next)).boxed_unsync())
}

/// What is still to be sent.
enum Part {
    Before { before: String, file: File, path: PathBuf, after: String },
    Content { file: File, path: PathBuf, after: String },
    End,
}

async fn next(part: Part) -> Option<(io::Result<Frame<Bytes>>, Part)> {
    let (mut file, path, after) = match part {
        Part::Before { before, file, path, after } => {
            return Some((Ok(Frame::data(before.into())), Part::Content { file, path, after }));
        }
        Part::Content { file, path, after } => (file, path, after),
        Part::End => return None,
    };
    let mut piece = vec![0; PIECE_BYTES];
    match file.read(&mut piece).await {
        Ok(0) => Some((Ok(Frame::data(after.into())), Part::End)),
        Ok(n_bytes) => {
            piece.truncate(n_bytes);
            Some((Ok(Frame::data(piece.into())), Part::Content { file, path, after }))
        }
        // The request breaks off, so that the server does not take the file for whole.
        Err(error) => Some((Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))), Part::End)),
    }
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
