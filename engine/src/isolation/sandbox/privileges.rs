//! What a process may that runs as root, beyond what files and filters say.
//!
//! Other users have none of it, and nothing changes for them. It matters where an engine runs as root: limits on pipes and
//! on descriptors in flight do not hold for a process with certain privileges.

use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities},
};

use super::enter::Grants;

/// Gives up all privileges but those to read and write files of any owner, as far as Landlock lets it, and with the
/// network to listen at the lower ports.
pub(super) fn drop(grants: &Grants) -> io::Result<()> {
    let mut kept = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    if grants.net {
        kept |= CapabilitySet::NET_BIND_SERVICE;
    }
    let own = capabilities(None)?;
    let (effective, permitted) = (own.effective & kept, own.permitted & kept);
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })
}
