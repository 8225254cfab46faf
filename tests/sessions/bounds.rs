//! A server's store of tickets is bounded, whatever clients do.

use std::sync::Arc;
use std::time::Duration;

use sealwire::{MemoryTickets, Tickets};

use super::support::seeded;
use super::{World, at};

const LIFETIME: Duration = Duration::from_secs(3600);

#[test]
fn pitfall_35_a_servers_sessions_are_bounded() {
    // In number: the oldest goes first.
    let kept = MemoryTickets::new(&seeded(380), 10, usize::MAX);
    let tickets: Vec<_> =
        (0..1000).map(|_| kept.issue(b"state", at(0), LIFETIME).unwrap()).collect();
    assert_eq!(kept.len(), 10);
    for (i, ticket) in tickets.iter().enumerate() {
        assert_eq!(kept.redeem(ticket, at(1)).is_some(), i >= 990, "{i}");
    }
    // In bytes.
    let kept = MemoryTickets::new(&seeded(381), usize::MAX, 1000);
    for len in (1..1000).chain([1000]) {
        assert!(kept.issue(&vec![1; len], at(0), LIFETIME).is_some());
        assert!((1..=1000 / len.min(30) + 1000).contains(&kept.len()));
    }
    assert_eq!(kept.len(), 1);
    // What is larger than all together is not kept, and the client gets no ticket that cannot work.
    assert!(kept.issue(&[1; 1001], at(0), LIFETIME).is_none());
    assert!(MemoryTickets::new(&seeded(382), 0, 1000).issue(b"x", at(0), LIFETIME).is_none());
}

#[test]
fn a_store_without_room_gives_no_tickets() {
    let world = World::new(383);
    let kept = Arc::new(MemoryTickets::new(world.server.provider(), 0, 0));
    let world = World { server: world.server.clone().with_tickets(kept), ..world };
    assert!(!world.connect(0) && !world.connect(1));
    assert_eq!(world.sessions.len(), 0);
}
