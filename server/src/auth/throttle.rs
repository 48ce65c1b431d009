//! How often a login may be tried: from each address, and for each account, some at once and then one every few seconds.
//!
//! An account may be tried ten times as often as an address, so that one address cannot use up the tries of an account. Many
//! addresses together can; so an address from which the account has logged in does not need the tries of the account, and the
//! owner gets in while others guess.
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

/// Places for accounts, as many for addresses, and as many for accounts with an address.
const PLACES: usize = 4_096;

/// From an address: ten tries at once, and one more every six seconds.
const OF_ADDRESS: Rate = Rate { burst: 10, every_us: 6_000_000 };

/// For an account: a hundred tries at once, and ten more every six seconds.
const OF_ACCOUNT: Rate = Rate { burst: 100, every_us: 600_000 };

/// How often a login may be tried.
#[derive(Debug)]
pub(crate) struct Throttle {
    places: Mutex<Places>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Places {
    /// For each place of an account the moment at which all tries are given back, in microseconds.
    accounts: Vec<u64>,
    /// The same for addresses.
    addresses: Vec<u64>,
    /// The hash of the account and the address that logged in last in each place.
    known: Vec<u64>,
}

/// The hashes of a login.
#[derive(Clone, Copy, Debug)]
struct Login {
    account: u64,
    address: u64,
    both: u64,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        let places = || vec![0; PLACES];
        let places = Places { accounts: places(), addresses: places(), known: places() };
        Self { places: Mutex::new(places), hasher: RandomState::new() }
    }

    /// Takes a try.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, account: &str, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let (login, now) = (self.login(account, address), now.unix_micros());
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let Places { accounts, addresses, known } = &mut *places;
        let address = &mut addresses[place(login.address)];
        let (address_full_at, _) = OF_ADDRESS.take(*address, now)?;
        if known[place(login.both)] != login.both {
            let account = &mut accounts[place(login.account)];
            (*account, _) = OF_ACCOUNT.take(*account, now)?;
        }
        *address = address_full_at;
        Ok(())
    }

    /// The login was right: its try is given back, and the account is known at this address.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        let login = self.login(account, address);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let Places { accounts, addresses, known } = &mut *places;
        give_back(&mut addresses[place(login.address)], OF_ADDRESS);
        let known = &mut known[place(login.both)];
        // What was known took no try of the account.
        if *known != login.both {
            give_back(&mut accounts[place(login.account)], OF_ACCOUNT);
            *known = login.both;
        }
    }

    fn login(&self, account: &str, address: IpAddr) -> Login {
        let network = network(address);
        Login {
            account: self.hasher.hash_one(account),
            address: self.hasher.hash_one(network),
            both: self.hasher.hash_one((account, network)),
        }
    }
}

fn place(hash: u64) -> usize {
    usize::try_from(hash % PLACES as u64).unwrap_or(0)
}

fn give_back(full_at: &mut u64, rate: Rate) {
    *full_at = full_at.saturating_sub(rate.every_us);
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

    /// Tries once from each of these addresses.
    fn n_taken(throttle: &Throttle, account: &str, addresses: impl Iterator<Item = u8>) -> usize {
        addresses.filter(|last| throttle.take(account, address(*last), at(0)).is_ok()).count()
    }

    #[test]
    fn ten_tries_are_free_and_then_one_every_six_seconds() {
        let throttle = Throttle::new();
        for _ in 0..OF_ADDRESS.burst {
            throttle.take("bob", address(1), at(0)).unwrap();
        }
        assert_eq!(throttle.take("bob", address(1), at(0)), Err(Duration::from_secs(6)));
        assert!(throttle.take("bob", address(1), at(5)).is_err());
        throttle.take("bob", address(1), at(6)).unwrap();
        assert!(throttle.take("bob", address(1), at(6)).is_err());
        for _ in 0..OF_ADDRESS.burst {
            throttle.take("bob", address(1), at(1_000)).unwrap();
        }
    }

    #[test]
    fn an_address_is_throttled_for_every_account() {
        let throttle = Throttle::new();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            throttle.take(name, address(1), at(0)).unwrap();
        }
        assert!(throttle.take("k", address(1), at(0)).is_err());
    }

    #[test]
    fn one_address_does_not_lock_the_owner_of_an_account_out() {
        let throttle = Throttle::new();
        assert_eq!(n_taken(&throttle, "bob", [1; 1_000].into_iter()), 10);
        // Two addresses can share a place.
        let place_of = |last| place(throttle.login("bob", address(last)).address);
        let other = (2..=255).find(|last| place_of(*last) != place_of(1)).unwrap();
        throttle.take("bob", address(other), at(0)).unwrap();
    }

    #[test]
    fn many_addresses_throttle_an_account_where_it_is_not_known() {
        let throttle = Throttle::new();
        throttle.take("bob", address(200), at(0)).unwrap();
        throttle.succeeded("bob", address(200));
        assert_eq!(n_taken(&throttle, "bob", (0..150).cycle().take(1_000)), 100, "the tries of the account");
        assert!(throttle.take("bob", address(201), at(0)).is_err());
        throttle.take("bob", address(200), at(0)).unwrap();
        // A thief at the owner's address has the tries of the address.
        assert!(n_taken(&throttle, "bob", [200; 1_000].into_iter()) < 10);
    }

    #[test]
    fn a_login_that_is_right_costs_nothing() {
        let throttle = Throttle::new();
        for _ in 0..1_000 {
            throttle.take("bob", address(1), at(0)).unwrap();
            throttle.succeeded("bob", address(1));
        }
        assert_eq!(n_taken(&throttle, "bob", [1; 1_000].into_iter()), 10);
        assert_eq!(n_taken(&throttle, "bob", (2..=150).cycle().take(1_000)), 100);
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
