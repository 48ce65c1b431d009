//! How many clients may be connected to a server.
//!
//! Each connection is an open file of the process. The engine needs files too: for the database, and for each process of a
//! package. Clients must not be able to take those.

use rustix::process::{Resource, getrlimit};

/// As many connections as asked for, but never so many that a quarter of the files of the process is not left.
pub(super) fn connections_max(asked: u64) -> usize {
    let of_files = getrlimit(Resource::Nofile).current.map_or(u64::MAX, share);
    usize::try_from(asked.min(of_files)).unwrap_or(usize::MAX)
}

fn share(n_files: u64) -> u64 {
    (n_files - n_files / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_files_is_left() {
        assert_eq!([share(0), share(1), share(1024), share(65536)], [1, 1, 768, 49152]);
        assert_eq!(connections_max(1), 1);
    }
}
