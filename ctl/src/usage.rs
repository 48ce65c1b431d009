//! What attempts used up, as it is shown: numbers for programs, cells of a table for people.
//!
//! A value that was not measured is absent for programs and the word *unknown* for people, never 0; of how many attempts and callbacks
//! a sum is known stands beside it. What processes used up holds for all that ran in them.

use std::time::Duration;

use crate::output::size;
use cloacina::{HostUsage, Usage};

/// The headings of [`cells`].
pub(crate) const HEADINGS: [&str; 4] = ["attempts", "time", "CPU time", "most memory"];

/// The cells of a row.
pub(crate) fn cells(usage: &Usage) -> [String; 4] {
    let n_calls = usage.n_attempts + usage.n_callbacks;
    let attempts = match usage.n_callbacks {
        0 => usage.n_attempts.to_string(),
        1 => format!("{} and a callback", usage.n_attempts),
        n_callbacks => format!("{} and {n_callbacks} callbacks", usage.n_attempts),
    };
    [
        attempts,
        cell(usage.time.map(short), usage.n_time, n_calls),
        cell(usage.cpu.map(short), usage.n_cpu, n_calls),
        cell(usage.peak_bytes.map(size), usage.n_peak, n_calls),
    ]
}

/// The headings of [`host_cells`].
pub(crate) const HOST_HEADINGS: [&str; 4] = ["processes", "calls", "CPU time", "most memory"];

/// The cells of a row, if there were any processes.
pub(crate) fn host_cells(usage: &HostUsage) -> Option<[String; 4]> {
    let HostUsage { n_hosts, n_crashed, n_calls, .. } = *usage;
    let processes = match n_crashed {
        0 => n_hosts.to_string(),
        n_crashed => format!("{n_hosts} ({n_crashed} crashed)"),
    };
    let cells = [
        processes,
        n_calls.to_string(),
        cell(usage.cpu.map(short), usage.n_cpu, n_hosts),
        cell(usage.peak_bytes.map(size), usage.n_peak, n_hosts),
    ];
    (n_hosts > 0).then_some(cells)
}

fn cell(known: Option<String>, n_known: u64, n_calls: u64) -> String {
    match known {
        _ if n_calls == 0 => String::new(),
        None => "unknown".to_owned(),
        Some(known) if n_known < n_calls => format!("{known} (of {n_known} of {n_calls})"),
        Some(known) => known,
    }
}

/// A time in the one or two units in which people say it.
pub(crate) fn short(time: Duration) -> String {
    let (micros, seconds) = (time.as_micros(), time.as_secs());
    let two = |large: u64, unit: &str, small: u64, rest: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {rest}"),
    };
    match seconds {
        0 if micros < 10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        0 => format!("{} ms", micros / 1_000),
        1..60 => format!("{seconds}.{} s", time.subsec_millis() / 100),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..172_800 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_said_to_be() {
        for (known, n_known, n_calls, expected) in [
            (Some("1 s"), 3, 3, "1 s"),
            (Some("1 s"), 1, 3, "1 s (of 1 of 3)"),
            (None, 0, 3, "unknown"),
            (None, 0, 0, ""),
        ] {
            assert_eq!(cell(known.map(str::to_owned), n_known, n_calls), expected);
        }
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (micros, expected) in [
            (0, "0.0 ms"),
            (1_240, "1.2 ms"),
            (100_900, "100 ms"),
            (1_250_000, "1.2 s"),
            (59_999_999, "59.9 s"),
            (90_000_000, "1 min 30 s"),
            (426_900_000, "7 min 6 s"),
            (7_200_000_000, "2 h"),
            (90_061_000_000, "25 h 1 min"),
            (200_000_000_000, "2 d 7 h"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), expected);
        }
    }
}
