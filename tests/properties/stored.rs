//! What is stored or handed to others: sessions, tickets, frozen connections, and the view of a ClientHello.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::codepoints::ExtensionType;
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientHelloView, Connection, MemorySessions, MigrationKey, Session, TicketKeys, Tickets,
};

use super::cases;
use super::support::session::Parts;
use super::support::{Calls, Kind, Role, configs_with, later, now, seeded};

fn bytes(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), len)
}

fn parts() -> impl Strategy<Value = Parts> {
    let numbers = (any::<u16>(), any::<[u32; 3]>(), any::<[u64; 2]>());
    let evidence = (bytes(0..100), vec(bytes(0..50), 0..3));
    let chain = (vec(bytes(0..300), 0..4), bytes(0..100), bytes(0..100), evidence);
    let blocks = (bytes(1..=80), bytes(0..600), bytes(0..=255), chain);
    (any::<[u8; 32]>(), numbers, blocks).prop_map(|(key, numbers, blocks)| {
        let (suite, [lifetime, age_add, max_early_data], [received, chain_expiry]) = numbers;
        let (psk, ticket, alpn, (chain, raw_public_key, name, (ocsp, scts))) = blocks;
        let external = match name.len() {
            0 => vec![0; 2],
            len => [&u16::try_from(len).unwrap().to_be_bytes()[..], &name, &[7; 32]].concat(),
        };
        let certificate = |der: &Vec<u8>| {
            let len = u32::try_from(der.len()).unwrap().to_be_bytes();
            [&len[1..], der].concat()
        };
        let chain = chain.iter().flat_map(certificate).collect();
        let sct = |sct: &Vec<u8>| {
            let len = u16::try_from(sct.len()).unwrap().to_be_bytes();
            [&len[..], sct].concat()
        };
        let scts = scts.iter().flat_map(sct).collect();
        Parts {
            key,
            suite,
            psk,
            ticket,
            lifetime,
            age_add,
            received,
            max_early_data,
            alpn,
            chain_expiry,
            chain,
            raw_public_key,
            ocsp,
            scts,
            external,
        }
    })
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn a_session_comes_back(parts in parts(), at in any::<u64>()) {
        let session = parts.build();
        prop_assert_eq!(Parts::of(&session), parts.clone());
        prop_assert_eq!(session.key().as_bytes(), &parts.key);
        prop_assert_eq!(session.max_early_data(), parts.max_early_data);
        // Usable from its receipt to its end, of which there are three.
        let age = at.checked_sub(parts.received);
        let alive = age.is_some_and(|age| age < u64::from(parts.lifetime.min(604_800)));
        let now = UnixTime::since_unix_epoch(Duration::from_secs(at));
        prop_assert_eq!(session.is_usable(now), alive && at <= parts.chain_expiry);
    }

    /// A session that is cut, longer or changed is none, or is exactly what it says.
    #[test]
    fn what_is_read_is_written_alike(parts in parts(), at: prop::sample::Index, flip: u8, longer in bytes(0..3), keep: prop::sample::Index) {
        let whole = parts.build().to_bytes().unwrap();
        let mut changed = whole.to_vec();
        changed[at.index(whole.len())] ^= flip;
        changed.extend(longer);
        for input in [&changed[..], &whole[..keep.index(whole.len())]] {
            if let Ok(session) = Session::from_bytes(input) {
                prop_assert_eq!(&**session.to_bytes().unwrap(), input);
            }
        }
    }

    /// A ticket opens as long as its keys overlap, for every server that shares them, and for nobody else.
    #[test]
    fn a_ticket_comes_back(
        state in bytes(0..500), period in 60..100_000_u64, overlap in 0..100_000_u64, issued in 0..400_000_i64,
        age in 0..200_000_i64, share in any::<bool>(), flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let provider = seeded(1);
        let [period, overlap] = [period, overlap].map(Duration::from_secs);
        let keys = TicketKeys::new(&provider, now()).unwrap();
        let keys = keys.with_rotation(period, overlap, now()).unwrap();
        let other = match share {
            true => TicketKeys::import(&seeded(2), &keys.export(now()).unwrap()).unwrap(),
            false => TicketKeys::new(&seeded(3), now()).unwrap(),
        };
        let ticket = keys.issue(&state, later(issued), overlap).unwrap();
        let mut changed = ticket.clone();
        changed[flip.0.index(ticket.len())] ^= flip.1;
        let then = later(issued + age);
        for (keys, knows) in [(&other, share), (&keys, true)] {
            let redeemed = keys.redeem(&ticket, then);
            let due = u64::try_from(age).unwrap() <= overlap.as_secs();
            prop_assert!(redeemed.is_some() || !(knows && due), "forgotten too early");
            if let Some(redeemed) = redeemed {
                prop_assert!(knows && *redeemed.state == state);
                prop_assert_eq!(redeemed.shared, share);
                // Not for ever either: what is open is a key of the overlap, or the newest one.
                let longest = overlap.as_secs() + 3 * period.as_secs();
                prop_assert!(u64::try_from(age).unwrap() <= longest, "never forgotten");
            }
            prop_assert!(flip.1 == 0 || keys.redeem(&changed, then).is_none());
        }
    }

    #[test]
    fn a_view_has_every_extension(
        random: [u8; 32], list in prop::collection::btree_map(0x1000..0x8000_u16, bytes(0..40), 0..20),
        suites in vec(any::<u16>(), 1..40), session in bytes(0..=32), cuts in vec(any::<prop::sample::Index>(), 10),
    ) {
        let extensions: Vec<u8> = list.iter().flat_map(|(kind, body)| {
            [&kind.to_be_bytes(), &u16::try_from(body.len()).unwrap().to_be_bytes(), &body[..]].concat()
        }).collect();
        let suite_bytes: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
        let short = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
        let body = [
            &[3, 3][..], &random, &[u8::try_from(session.len()).unwrap()], &session, &short(suite_bytes.len()), &suite_bytes,
            &[1, 0], &short(extensions.len()), &extensions,
        ].concat();
        let len = u32::try_from(body.len()).unwrap().to_be_bytes();
        let hello = [&[1], &len[1..], &body].concat();
        let view = ClientHelloView::from_bytes(&hello).unwrap();
        prop_assert_eq!(view.as_bytes(), &hello[..]);
        prop_assert_eq!(view.random(), random);
        prop_assert_eq!(view.suites().iter().map(|suite| suite.0).collect::<Vec<_>>(), suites);
        let seen: Vec<_> = view.extensions().into_iter().map(|(kind, body)| (kind, body.to_vec())).collect();
        prop_assert_eq!(seen, list.into_iter().map(|(kind, body)| (ExtensionType(kind), body)).collect::<Vec<_>>());
        for cut in cuts {
            prop_assert!(ClientHelloView::from_bytes(&hello[..cut.index(hello.len())]).is_err());
        }
    }
}

/// What a connection did before it moved, and what it does when it has.
#[derive(Clone, Copy, Debug)]
enum Act {
    Write(Role, usize),
    Update(Role, bool),
    /// Half of what is under way arrives.
    Half(Role),
    Ticket,
    Close(Role),
    Move(Role),
}

fn act() -> impl Strategy<Value = Act> {
    let role = || prop::sample::select(&Role::BOTH[..]);
    prop_oneof![
        4 => (role(), 1..600_usize).prop_map(|(role, len)| Act::Write(role, len)),
        2 => (role(), any::<bool>()).prop_map(|(role, ask)| Act::Update(role, ask)),
        2 => role().prop_map(Act::Half),
        1 => Just(Act::Ticket),
        1 => role().prop_map(Act::Close),
        3 => role().prop_map(Act::Move),
    ]
}

proptest! {
    #![proptest_config(cases(64))]

    /// A connection that was frozen and thawed, at any moment and any number of times, goes on as if it had not been.
    #[test]
    fn a_frozen_connection_goes_on(acts in vec(act(), 1..30)) {
        let (client, server) = configs_with(4, Kind::Ed25519);
        let tickets = TicketKeys::new(server.provider(), now()).unwrap();
        let client = client.with_sessions(Arc::new(MemorySessions::default()));
        let server = server.with_tickets(Arc::new(tickets));
        let mut pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        let (client, server) = (Arc::new(client), Arc::new(server));
        let exporter = pair.client.export(b"EXPORTER-x", None).unwrap();
        let (mut sent, mut closed) = ([Vec::new(), Vec::new()], [false; 2]);
        let at = |role| usize::from(role == Role::Server);
        for act in acts {
            match act {
                Act::Write(role, len) if !closed[at(role)] => {
                    let data = vec![u8::try_from(sent[at(role)].len() % 251).unwrap(); len];
                    pair.side(role).write(&data).unwrap();
                    sent[at(role)].extend(data);
                }
                Act::Update(role, ask) if !closed[at(role)] => pair.side(role).update_keys(ask).unwrap(),
                Act::Half(role) => {
                    let side = pair.side(role);
                    let to = side.taken + (side.wire.len() - side.taken) / 2;
                    let piece = side.wire[side.taken..to].to_vec();
                    side.taken = to;
                    pair.side(role.peer()).inbox.extend(piece);
                    pair.side(role.peer()).drain(now());
                }
                Act::Ticket if !closed[1] => pair.server.call(|conn, out| conn.send_ticket(now(), out)).unwrap(),
                Act::Close(role) => {
                    pair.side(role).close().unwrap();
                    closed[at(role)] = true;
                }
                Act::Move(role) if pair.side(role).conn.check_freeze().is_ok() => {
                    let key = MigrationKey::new(&seeded(5), &[6; 32]).unwrap();
                    let dead = Connection::server(Arc::clone(&server));
                    let conn = std::mem::replace(&mut pair.side(role).conn, dead);
                    let blob = conn.freeze(&key).unwrap();
                    let thawed = match role {
                        Role::Client => Connection::thaw_client(&client, &key, &blob),
                        Role::Server => Connection::thaw_server(&server, &key, &blob),
                    };
                    pair.side(role).conn = thawed.unwrap();
                }
                _ => {}
            }
        }
        pair.pump();
        for role in Role::BOTH {
            let side = pair.side(role);
            prop_assert!(side.error.is_none(), "{:?}", side.error);
            prop_assert!(side.data == sent[at(role.peer())], "bytes were lost");
            prop_assert_eq!(side.closed, closed[at(role.peer())]);
            prop_assert_eq!(side.export(b"EXPORTER-x", None).unwrap(), exporter);
        }
    }
}
