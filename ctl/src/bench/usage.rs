//! What a measurement uses up: processor time and memory, of this process and of a server that is its child.
//!
//! Linux tells through `/proc`; elsewhere only the processor time of this process is known, and the rest is absent.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Forgets the most memory that was held so far.
const RESET_PEAK: &str = "5";

/// What was used up since some moment.
#[derive(Debug)]
pub(super) struct Usage {
    cpu: Duration,
    server: Option<u32>,
    server_cpu: Option<Duration>,
}

impl Usage {
    /// Counts from now; `server` is the process whose children do the server's work.
    pub(super) fn start(server: Option<u32>) -> Self {
        // Where that is not possible, the peak is that of the process so far.
        fs::write("/proc/self/clear_refs", RESET_PEAK).ok();
        Self { cpu: cpu(), server, server_cpu: server.and_then(server_cpu) }
    }

    /// Processor time of this process and of the server, and the most memory that this process held.
    pub(super) fn end(self) -> (Duration, Option<Duration>, Option<u64>) {
        let now = self.server.and_then(server_cpu);
        let server_cpu = now.zip(self.server_cpu).map(|(now, before)| now.saturating_sub(before));
        (cpu().saturating_sub(self.cpu), server_cpu, status_bytes("VmHWM:"))
    }
}

/// The CPU time of all children of this process that have ended, and of their children.
pub(super) fn ended_children_cpu() -> Option<Duration> {
    Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?).map(|stat| of_ticks(stat.ended_children))
}

/// The memory that this process holds now.
pub(super) fn resident_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The memory of this machine.
pub(super) fn machine_bytes() -> Option<u64> {
    bytes_in(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn status_bytes(name: &str) -> Option<u64> {
    bytes_in(&fs::read_to_string("/proc/self/status").ok()?, name)
}

/// The value of a line such as `VmRSS:  1234 kB`.
fn bytes_in(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), nanoseconds)
}

/// The CPU time of a process, of those of its children that live, and of those that it has seen end.
fn server_cpu(server: u32) -> Option<Duration> {
    let mut ticks = 0;
    let mut found = false;
    for entry in fs::read_dir("/proc").ok()? {
        let path: PathBuf = entry.ok()?.path();
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        let Some(id) = id else { continue };
        // A process may end while the list is read.
        let Ok(text) = fs::read_to_string(path.join("stat")) else { continue };
        let Some(stat) = Stat::parse(&text) else { continue };
        if id == server || stat.parent == server {
            ticks += stat.own;
            found |= id == server;
        }
        if id == server {
            ticks += stat.ended_children;
        }
    }
    found.then(|| of_ticks(ticks))
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// What `/proc/<pid>/stat` says, in ticks.
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name of the program stands in parentheses and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_process_table_is_read() {
        let text = "42 (a (strange) name) S 7 42 42 0 -1 0 1 2 3 4 100 20 3 4 20 0 1 0 99";
        let Stat { parent, own, ended_children } = Stat::parse(text).unwrap();
        assert_eq!((parent, own, ended_children), (7, 120, 7));
        assert!(Stat::parse("42").is_none());
        assert_eq!(bytes_in("VmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
    }
}
