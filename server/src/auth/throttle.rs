//! How often a login may be tried: for each account and from each address, some at once and then one every few seconds.
//!
//! The memory is bounded: names and addresses share a fixed number of places. Two that share a place are throttled together,
//! which makes the limit stricter and never looser. Which ones share a place is different in each process, so nobody can
//! choose an address that throttles somebody else.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cloacina::Timestamp;

use super::bucket::Rate;

/// Places for accounts, and as many for addresses.
const PLACES: usize = 4_096;

/// Ten tries at once, and one more every six seconds.
const RATE: Rate = Rate { burst: 10, every_us: 6_000_000 };

/// How often a login may be tried.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// For each place the moment at which all tries are given back, in microseconds: accounts first, then addresses.
    places: Mutex<Vec<u64>>,
    hasher: RandomState,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self { places: Mutex::new(vec![0; 2 * PLACES]), hasher: RandomState::new() }
    }

    /// Takes a try.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, account: &str, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let now = now.unix_micros();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let of = self.places_of(account, address);
        let taken = of.map(|place| RATE.take(places[place], now));
        if let Some(wait) = taken.iter().filter_map(|taken| taken.err()).max() {
            return Err(wait);
        }
        for (place, taken) in of.into_iter().zip(taken) {
            places[place] = taken?.0;
        }
        Ok(())
    }

    /// Gives the try back that was taken for a login which was right.
    pub(crate) fn give_back(&self, account: &str, address: IpAddr) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        for place in self.places_of(account, address) {
            places[place] = places[place].saturating_sub(RATE.every_us);
        }
    }

    fn places_of(&self, account: &str, address: IpAddr) -> [usize; 2] {
        let place = |hash: u64| usize::try_from(hash % PLACES as u64).unwrap_or(0);
        [place(self.hasher.hash_one(account)), PLACES + place(self.hasher.hash_one(network(address)))]
    }
}

/// A machine chooses among the addresses of its network as it likes.
fn network(address: IpAddr) -> [u8; 8] {
    let bytes = match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets().last_chunk::<8>().copied(),
        IpAddr::V6(address) => address.octets().first_chunk::<8>().copied(),
    };
    bytes.expect("invariant: an address has sixteen bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_micros(1_700_000_000_000_000 + seconds * 1_000_000)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn ten_tries_are_free_and_then_one_every_six_seconds() {
        let throttle = Throttle::new();
        for _ in 0..RATE.burst {
            throttle.take("bob", address(1), at(0)).unwrap();
        }
        assert_eq!(throttle.take("bob", address(1), at(0)), Err(Duration::from_secs(6)));
        assert!(throttle.take("bob", address(1), at(5)).is_err());
        throttle.take("bob", address(1), at(6)).unwrap();
        assert!(throttle.take("bob", address(1), at(6)).is_err());
        for _ in 0..RATE.burst {
            throttle.take("bob", address(1), at(1_000)).unwrap();
        }
    }

    #[test]
    fn an_account_is_throttled_from_everywhere_and_an_address_for_every_account() {
        let throttle = Throttle::new();
        for last in 0..10 {
            throttle.take("bob", address(last), at(0)).unwrap();
        }
        assert!(throttle.take("bob", address(10), at(0)).is_err());
        let throttle = Throttle::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            throttle.take(name, address(1), at(0)).unwrap();
        }
        assert!(throttle.take("k", address(1), at(0)).is_err());
    }

    #[test]
    fn a_login_that_is_right_costs_nothing() {
        let throttle = Throttle::new();
        for _ in 0..100 {
            throttle.take("bob", address(1), at(0)).unwrap();
            throttle.give_back("bob", address(1));
        }
    }

    #[test]
    fn a_network_of_version_six_is_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    }
}
