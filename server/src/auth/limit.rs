//! How many requests each credential and each tenant may make, and the headers that tell it.
//!
//! The headers are those of the draft "RateLimit header fields for HTTP" of the IETF: `ratelimit-policy` has the limits, and
//! `ratelimit` what is left of them.

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use cloacina::Timestamp;

use super::{
    Refusal,
    bucket::{Buckets, Left, Rate},
};

pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// How many requests may be made in each second, and twice as many at once. Zero stands for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRates {
    /// With each credential: an API key, or all access tokens of an account.
    pub credential: u64,
    /// By each tenant, with all of its credentials.
    pub tenant: u64,
}

impl RequestRates {
    /// No limits.
    pub const UNLIMITED: Self = Self { credential: 0, tenant: 0 };
}

/// How many requests each credential and each tenant may make.
#[derive(Debug)]
pub(crate) struct Limits {
    credentials: Option<Mutex<Buckets>>,
    tenants: Option<Mutex<Buckets>>,
}

/// What limits said about a request, for the headers of its answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(Vec<(&'static str, Rate, Left)>);

impl Limits {
    pub(crate) fn new(RequestRates { credential, tenant }: RequestRates) -> Self {
        let of = |n_requests| (n_requests > 0).then(|| Mutex::new(Buckets::new(Rate::per_second(n_requests))));
        Self { credentials: of(credential), tenants: of(tenant) }
    }

    /// Counts a request of an actor that sees that tenant, or every tenant without one.
    ///
    /// # Errors
    /// [`Refusal::TooFast`], with what to tell.
    pub(crate) fn count(&self, tenant: Option<&str>, actor: &str, now: Timestamp) -> Result<Told, (Refusal, Told)> {
        let mut told = Told::default();
        // A name has no slash, so no two credentials have the same text.
        let credential = format!("{}/{actor}", tenant.unwrap_or_default());
        let places = [("credential", &self.credentials, Some(credential.as_str())), ("tenant", &self.tenants, tenant)];
        for (who, buckets, name) in places {
            let (Some(buckets), Some(name)) = (buckets, name) else { continue };
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            match buckets.take(name, now.unix_micros()) {
                Ok(left) => told.0.push((who, buckets.rate(), left)),
                Err(wait) => {
                    told.0.push((who, buckets.rate(), Left { requests: 0, full_in: wait }));
                    return Err((Refusal::TooFast { who, wait }, told));
                }
            }
        }
        Ok(told)
    }
}

impl Told {
    /// Adds the headers to an answer.
    pub(crate) fn extend(&self, headers: &mut HeaderMap) {
        let (mut policy, mut limit) = (String::new(), String::new());
        for (who, rate, left) in &self.0 {
            let comma = if policy.is_empty() { "" } else { ", " };
            let window = Duration::from_micros(rate.burst * rate.every_us);
            // Writing into a text cannot fail.
            write!(policy, "{comma}\"{who}\";q={};w={}", rate.burst, seconds(window)).ok();
            write!(limit, "{comma}\"{who}\";r={};t={}", left.requests, seconds(left.full_in)).ok();
        }
        for (name, value) in [(POLICY, policy), (LIMIT, limit)] {
            let value = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty());
            headers.extend(value.map(|value| (name, value)));
        }
    }
}

/// Whole seconds, rounded up: a client that waits for them is not refused again.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_micros().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_unix_micros(1_700_000_000_000_000 + micros)
    }

    fn headers(told: &Told) -> [String; 2] {
        let mut headers = HeaderMap::new();
        told.extend(&mut headers);
        [POLICY, LIMIT].map(|name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned())
    }

    #[test]
    fn a_credential_and_its_tenant_are_counted_apart() {
        let limits = Limits::new(RequestRates { credential: 1, tenant: 2 });
        let told = limits.count(Some("acme"), "ann", at(0)).unwrap();
        let policy = "\"credential\";q=2;w=2, \"tenant\";q=4;w=2";
        assert_eq!(headers(&told), [policy, "\"credential\";r=1;t=1, \"tenant\";r=3;t=1"]);
        limits.count(Some("acme"), "ann", at(0)).unwrap();
        let (refusal, told) = limits.count(Some("acme"), "ann", at(0)).unwrap_err();
        assert!(matches!(refusal, Refusal::TooFast { who: "credential", wait } if wait == Duration::from_secs(1)));
        assert_eq!(headers(&told), ["\"credential\";q=2;w=2", "\"credential\";r=0;t=1"]);

        limits.count(Some("acme"), "bob", at(0)).unwrap();
        limits.count(Some("acme"), "key:bob", at(0)).unwrap();
        let (refusal, _) = limits.count(Some("acme"), "eve", at(0)).unwrap_err();
        assert!(matches!(refusal, Refusal::TooFast { who: "tenant", .. }));
        limits.count(Some("beta"), "ann", at(0)).unwrap();
        limits.count(Some("acme"), "eve", at(500_000)).unwrap();
    }

    #[test]
    fn what_sees_every_tenant_has_no_limit_of_a_tenant_and_zero_limits_nothing() {
        let limits = Limits::new(RequestRates { credential: 0, tenant: 1 });
        for _ in 0..100 {
            let told = limits.count(None, "admin", at(0)).unwrap();
            assert_eq!(headers(&told), ["", ""]);
        }
    }
}
