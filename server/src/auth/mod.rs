//! Who asks, and whether it may: from a credential to a caller, before any handler runs.
//!
//! ```text
//! request ── gate ──> key or access token ──> Identity ──> permission (the row of the route) ──> Caller ──> handler
//!              └──> refusal: 401 without a credential that holds, 403 without the role, 429 after too many logins or requests
//! ```
//! - A route has a row in the table of [`permission`], or the server does not start.
//! - An account and a key are looked up at each request, so one that is disabled or revoked is refused at once. An access
//!   token only says that its password was compared in the last minutes.
//! - The tenant comes from the credential. A header can name one only where the credential sees all.

mod bucket;
mod described;
mod gate;
mod limit;
mod permission;
mod refusal;
mod throttle;
mod token;

pub use self::limit::RequestRates;
pub(crate) use self::{
    described::with_credentials,
    gate::{Authorized, Gate, TENANT, address, check_credential},
    limit::{LIMIT, Limits, POLICY, seconds},
    permission::Permissions,
    refusal::Refusal,
    throttle::Throttle,
    token::{EXPIRES_IN, TokenKey},
};
