//! What must hold for whatever bytes come from a package host, for fuzzing.

use crate::isolation::{Bad, Direction, HEADER_BYTES, Taken, take};

/// More than this is never waited for, whatever a header says: the largest parts of the largest kind.
const FRAME_BYTES_MAX: usize = 256 << 20;

/// Takes frames from bytes until there is none left, or one that is not finished, or none at all; the first byte chooses
/// the direction.
///
/// # Panics
/// When a frame is not written as it was read, or a reader would wait for what it has.
pub fn check_frames(bytes: &[u8]) {
    let Some((first, mut bytes)) = bytes.split_first() else { return };
    let direction = if first % 2 == 0 { Direction::Up } else { Direction::Down };
    loop {
        match take(bytes, direction) {
            Ok(Taken::Frame(frame, n_bytes)) => {
                let written = [&frame.header()[..], frame.parts[0], frame.parts[1], frame.parts[2]].concat();
                assert!(written == bytes[..n_bytes], "a frame is written differently from how it was read");
                assert!(n_bytes >= HEADER_BYTES && frame.n_bytes() == n_bytes);
                bytes = &bytes[n_bytes..];
            }
            Ok(Taken::Short(n_bytes)) => {
                assert!(n_bytes > bytes.len() && n_bytes <= FRAME_BYTES_MAX, "{n_bytes} bytes are waited for");
                return;
            }
            Err(bad @ (Bad::Kind { .. } | Bad::Direction { .. } | Bad::TooLong { .. })) => {
                assert!(!bad.to_string().is_empty());
                return;
            }
        }
    }
}
