//! How many connections there may be, and how many there are of each address.

use std::net::{IpAddr, Ipv6Addr};

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::limits::{DESCRIPTORS_RESERVED, Limit, Limits};

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Crowd {
    per_address_max: u64,
    /// Empty if there is no limit.
    by_address: HashMap<IpAddr, u64, RandomState>,
}

impl Crowd {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { per_address_max: limits.given(Limit::ConnectionsPerAddress), by_address: HashMap::default() }
    }

    /// Lets a connection in; `false` if there are too many of its address.
    pub(super) fn enter(&mut self, address: IpAddr) -> bool {
        if self.per_address_max == 0 {
            return true;
        }
        let count = self.by_address.entry(one_client(address)).or_default();
        let has_room = *count < self.per_address_max;
        *count += u64::from(has_room);
        has_room
    }

    /// A connection that was let in is gone.
    pub(super) fn leave(&mut self, address: IpAddr) {
        if self.per_address_max == 0 {
            return;
        }
        let address = one_client(address);
        let count = self.by_address.get_mut(&address).expect("who leaves was let in");
        *count -= 1;
        if *count == 0 {
            self.by_address.remove(&address);
        }
    }
}

/// Who has an IPv6 address has a network of 64 bits; an IPv4 address may come in the clothes of an IPv6 one.
fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

/// How many connections there may be: as many as is asked for, but the process needs descriptors for other things.
pub(super) fn connections_max(limits: &Limits, descriptors: Option<u64>) -> usize {
    let most = limits.most_bytes(Limit::Connections);
    let available = descriptors.map_or(u64::MAX, |all| all.saturating_sub(DESCRIPTORS_RESERVED).max(all / 2));
    most.min(usize::try_from(available).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_client() {
        let mut crowd = Crowd::new(&Limits::default().with(Limit::ConnectionsPerAddress, 2));
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let mut check = |text: &str, is_let_in: bool| assert_eq!(crowd.enter(address(text)), is_let_in, "{text}");
        check("10.0.0.1", true);
        check("::ffff:10.0.0.1", true);
        check("10.0.0.1", false);
        check("10.0.0.2", true);
        check("2001:db8::1", true);
        check("2001:db8::ffff:1", true);
        check("2001:db8::2", false);
        check("2001:db8:0:1::2", true);
        crowd.leave(address("::ffff:10.0.0.1"));
        assert!(crowd.enter(address("10.0.0.1")));
        for gone in ["10.0.0.1", "10.0.0.1", "10.0.0.2", "2001:db8::5", "2001:db8::6", "2001:db8:0:1::"] {
            crowd.leave(address(gone));
        }
        assert!(crowd.by_address.is_empty());
    }

    #[test]
    fn descriptors_are_left_to_others() {
        let limits = Limits::default().with(Limit::Connections, 1000);
        for (descriptors, expected) in [(None, 1000), (Some(1 << 20), 1000), (Some(1024), 960), (Some(100), 50)] {
            assert_eq!(connections_max(&limits, descriptors), expected, "{descriptors:?}");
        }
    }
}
