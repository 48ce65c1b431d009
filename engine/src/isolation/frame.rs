//! The frames between an engine and its package hosts, as bytes. Pure: no sockets, no locks, no clock.
//!
//! ```text
//! offset  0  kind u32 │ 4 a u32 │ 8 call u64 │ 16 b u64 │ 24 c u32 │ 28 lengths 3 × u32 │ 40 d u64 │ 48 the three parts
//! ```
//! Everything is little-endian. What `a`, `b`, `c`, `d` and the parts mean depends on the kind; see [`Kind`]. Parts are raw
//! bytes: a context is JSON as it is stored. Whatever the bytes are, taking a frame apart answers with a frame, with
//! how many bytes are missing, or with what is wrong; it never panics and allocates nothing.

use crate::loader::{
    FIELDS_BYTES_MAX, LINE_SENT_MAX, MESSAGE_SENT_MAX, NAME_SENT_MAX, OUTPUT_BYTES_MAX, SECRET_BYTES_MAX,
};

/// How many bytes come before the parts.
pub(crate) const HEADER_BYTES: usize = 48;
/// The longest setup, which holds the description of a package.
pub(super) const SETUP_BYTES_MAX: usize = 32 << 20;
/// The longest answer to a setup.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// As a JSON string a byte may take six, and a byte that is not text three.
const FIELDS_SENT_MAX: usize = 6 * FIELDS_BYTES_MAX + 16;

/// What a frame is about. Numbers are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Down, first: what to load and how, as JSON.
    Setup,
    /// Down: begin a call. `a` function, `b` deadline in Unix milliseconds, `c` attempt, `d` whether the
    /// context is whole; context, idempotency key, trace parent.
    Start,
    /// Down: ask a call to stop.
    Cancel,
    /// Down: the secret with the number `b` is hidden from now on.
    SecretTaken,
    /// Down: what the question with the number `b` asked for, or why not. `a` status; value, its writer.
    Answer,
    /// Up, first: this is a package host.
    Hello,
    /// Up: the library is loaded; JSON says what keeps it in.
    Ready,
    /// Up, instead: it is not; JSON says why.
    NotReady,
    /// Up: the package did not accept the call. `a` says why, `b` and `c` belong to that.
    Refused,
    /// Up: the call ended. `a` status, `b` nanoseconds of processor time that the package says, `c` kind of output, `d`
    /// microseconds to wait where it is to be tried again; output, code and message of the error.
    Complete,
    /// Up: a log line of a call, or of the package under call 0. `a` level; target, message, fields.
    Log,
    /// Up: a call is alive. `a` permille; note.
    Heartbeat,
    /// Up: `b` log lines were left out.
    Dropped,
    /// Up: a text that must not be told of a call's run. `b` a number by which the answer names it; text.
    Secret,
    /// Up: a task asks for what its call did not carry. `a` what, `b` a number by which the answer names it; task, key.
    Fetch,
}

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the engine to a package host.
    Down,
    /// From a package host, which may be hostile, to the engine.
    Up,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) call: u64,
    pub(crate) a: u32,
    pub(crate) b: u64,
    pub(crate) c: u32,
    pub(crate) d: u64,
    pub(crate) parts: [&'a [u8]; 3],
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken<'a> {
    /// A frame, and how many bytes it has.
    Frame(Frame<'a>, usize),
    /// The beginning of a frame that will have at least so many bytes.
    Short(usize),
}

/// What is wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Bad {
    #[error("a frame of the unknown kind {kind}")]
    Kind { kind: u32 },
    #[error("a frame of the kind {kind:?}, which only the other side may send")]
    Direction { kind: Kind },
    #[error("a frame of the kind {kind:?} whose part {part} has {len} bytes, {max} are allowed")]
    TooLong { kind: Kind, part: usize, len: usize, max: usize },
}

impl Kind {
    const ALL: [(Self, u32, Direction, [usize; 3]); 15] = [
        (Self::Setup, 1, Direction::Down, [SETUP_BYTES_MAX, 0, 0]),
        (Self::Start, 2, Direction::Down, [OUTPUT_BYTES_MAX, 4096, 4096]),
        (Self::Cancel, 3, Direction::Down, [0; 3]),
        (Self::SecretTaken, 4, Direction::Down, [0; 3]),
        (Self::Answer, 5, Direction::Down, [OUTPUT_BYTES_MAX, 4096, 0]),
        (Self::Hello, 64, Direction::Up, [0; 3]),
        (Self::Ready, 65, Direction::Up, [ANSWER_BYTES_MAX, 0, 0]),
        (Self::NotReady, 66, Direction::Up, [ANSWER_BYTES_MAX, 0, 0]),
        (Self::Refused, 67, Direction::Up, [0; 3]),
        // A host cuts what is too long; one that does not is not ours.
        (Self::Complete, 68, Direction::Up, [OUTPUT_BYTES_MAX + 1, NAME_SENT_MAX, MESSAGE_SENT_MAX]),
        (Self::Log, 69, Direction::Up, [NAME_SENT_MAX, LINE_SENT_MAX, FIELDS_SENT_MAX]),
        (Self::Heartbeat, 70, Direction::Up, [NAME_SENT_MAX, 0, 0]),
        (Self::Dropped, 71, Direction::Up, [0; 3]),
        (Self::Secret, 72, Direction::Up, [SECRET_BYTES_MAX, 0, 0]),
        // A key may be as long as what wrote it.
        (Self::Fetch, 73, Direction::Up, [4096, OUTPUT_BYTES_MAX, 0]),
    ];

    fn row(self) -> &'static (Self, u32, Direction, [usize; 3]) {
        let row = Self::ALL.iter().find(|(kind, ..)| *kind == self);
        row.expect("invariant: the table has a row for each kind")
    }
}

impl<'a> Frame<'a> {
    /// A frame of that kind about that call, with nothing else in it.
    pub(crate) fn new(kind: Kind, call: u64) -> Self {
        Self { kind, call, a: 0, b: 0, c: 0, d: 0, parts: [&[]; 3] }
    }

    /// The bytes before the parts.
    pub(crate) fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.kind.row().1.to_le_bytes());
        put(4, &self.a.to_le_bytes());
        put(8, &self.call.to_le_bytes());
        put(16, &self.b.to_le_bytes());
        put(24, &self.c.to_le_bytes());
        put(40, &self.d.to_le_bytes());
        for (part, at) in self.parts.iter().zip([28, 32, 36]) {
            // Each kind has its bounds far below; what is too long is refused by the other side.
            put(at, &u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        header
    }

    /// How many bytes the frame has.
    pub(crate) fn n_bytes(&self) -> usize {
        HEADER_BYTES + self.parts.iter().map(|part| part.len()).sum::<usize>()
    }
}

/// Takes the first frame from bytes that came in that direction.
pub(crate) fn take(bytes: &[u8], direction: Direction) -> Result<Taken<'_>, Bad> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(Taken::Short(HEADER_BYTES));
    };
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let long = |at: usize| u64::from(number(at)) | u64::from(number(at + 4)) << 32;
    let row = Kind::ALL.iter().find(|(_, known, ..)| *known == number(0));
    let (kind, _, goes, lengths_max) = *row.ok_or(Bad::Kind { kind: number(0) })?;
    if goes != direction {
        return Err(Bad::Direction { kind });
    }
    let mut lengths = [0; 3];
    for (part, max) in lengths_max.into_iter().enumerate() {
        let len = usize::try_from(number(28 + 4 * part)).unwrap_or(usize::MAX);
        if len > max {
            return Err(Bad::TooLong { kind, part, len, max });
        }
        lengths[part] = len;
    }
    let n_bytes = HEADER_BYTES + lengths.iter().sum::<usize>();
    if bytes.len() < n_bytes {
        return Ok(Taken::Short(n_bytes));
    }
    let (first, rest) = rest.split_at(lengths[0]);
    let (second, rest) = rest.split_at(lengths[1]);
    let parts = [first, second, &rest[..lengths[2]]];
    Ok(Taken::Frame(
        Frame { kind, call: long(8), a: number(4), b: long(16), c: number(24), d: long(40), parts },
        n_bytes,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(frame: &Frame<'_>) -> Vec<u8> {
        let mut bytes = frame.header().to_vec();
        frame.parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn a_frame_comes_out_as_it_went_in() {
        for (kind, _, direction, lengths_max) in Kind::ALL {
            let part = [7; 64];
            let parts = lengths_max.map(|max| &part[..max.min(64)]);
            let frame = Frame { kind, call: u64::MAX - 1, a: 2, b: 1 << 40, c: 4, d: 1 << 50, parts };
            let bytes = bytes_of(&frame);
            assert_eq!(bytes.len(), frame.n_bytes());
            assert_eq!(take(&bytes, direction), Ok(Taken::Frame(frame, bytes.len())));
            for cut in 0..bytes.len() {
                let expect = if cut < HEADER_BYTES { HEADER_BYTES } else { bytes.len() };
                assert_eq!(take(&bytes[..cut], direction), Ok(Taken::Short(expect)));
            }
        }
    }

    #[test]
    fn other_bytes_than_frames_are_named() {
        let check = |bytes: &[u8], expect: &str| {
            assert_eq!(take(bytes, Direction::Up).unwrap_err().to_string(), expect);
        };
        check(&[0; HEADER_BYTES], "a frame of the unknown kind 0");
        let start = Frame::new(Kind::Start, 1).header();
        check(&start, "a frame of the kind Start, which only the other side may send");
        let mut long = Frame::new(Kind::Heartbeat, 1).header();
        long[28..32].copy_from_slice(&u32::MAX.to_le_bytes());
        check(&long, "a frame of the kind Heartbeat whose part 0 has 4294967295 bytes, 16384 are allowed");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic_and_promise_no_more_than_allowed(
            kind in 0u32..80, tail in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let bytes = [&kind.to_le_bytes()[..], &tail].concat();
            for direction in [Direction::Up, Direction::Down] {
                match take(&bytes, direction) {
                    Ok(Taken::Short(n_bytes)) => prop_assert!(n_bytes > bytes.len() && n_bytes < OUTPUT_BYTES_MAX * 2),
                    Ok(Taken::Frame(frame, n_bytes)) => prop_assert_eq!(frame.n_bytes(), n_bytes),
                    Err(bad) => prop_assert!(!bad.to_string().is_empty()),
                }
            }
        }
    }
}
