//! Bad input: a handshake with mutual authentication, data and closes is recorded, one straight and one with a retry, and
//! then either side gets the other's bytes with every single byte flipped, cut off at every byte, and spliced ten thousand
//! times.
//!
//! The victim is made again from the same seed each time, so that its part is as it was recorded, up to the change. It may
//! fail, or it may go on; but if it says that it is connected, then with the peer of the recording and its keys, what it
//! delivers is what the peer sent, and a truncation is never a clean close. Nothing panics, and memory stays bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "hostile/changes.rs"]
mod changes;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use changes::{changing, splice};
use peak_alloc::PeakAlloc;
use sealwire::codepoints::NamedGroup;
use sealwire::{
    ClientAuth, ClientConfig, Connection, CookieKey, Error, Event, Limit, Read, ServerConfig,
    Verifier,
};
use support::{Calls, Kind, Rand, Role, configs_with, now, pki, records, server_name};

/// Counts every byte that the whole test binary holds.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What all of these tests together may hold at once; most of it is the recording, the certificates and the threads.
const MOST_MEMORY: usize = 2 << 20;

const SEED: u64 = 1;
const SPLICES: usize = 10_000;

/// The handshake that is attacked.
struct Recording {
    /// What each side sent, and the data in it.
    wire: [Vec<u8>; 2],
    data: [Vec<u8>; 2],
    exporter: [u8; 40],
    /// Each side's chain, as its peer saw it.
    chain: [Vec<Vec<u8>>; 2],
}

fn at(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

/// Which handshake is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Plain,
    /// With a HelloRetryRequest, whose cookie holds what the server knows.
    Retry,
}

impl Flow {
    const BOTH: [Self; 2] = [Self::Plain, Self::Retry];
}

fn mutual(flow: Flow) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs_with(SEED, Kind::P256);
    let client = client.with_groups(&[NamedGroup::x25519]).unwrap();
    let (client, server) = match flow {
        Flow::Plain => (client, server),
        Flow::Retry => {
            let key = Arc::new(CookieKey::new(&[7; 32]).unwrap());
            (client.with_key_shares(&[]).unwrap(), server.with_stateless_retry(key))
        }
    };
    let credential = pki().client(Kind::P256).credential(client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (client.with_credentials(vec![credential]), server.with_client_auth(auth))
}

fn recording(flow: Flow) -> &'static Recording {
    static RECORDINGS: [OnceLock<Recording>; 2] = [const { OnceLock::new() }; 2];
    let at = if flow == Flow::Plain { 0 } else { 1 };
    RECORDINGS[at].get_or_init(|| {
        let (client, server) = mutual(flow);
        let mut pair = Calls::PLAIN.pair(client, server).connect();
        pair.chat();
        let exporter = pair.client.export(LABEL, None).unwrap();
        for role in Role::BOTH {
            pair.side(role).close().unwrap();
            pair.pump();
        }
        let chain = [&pair.server, &pair.client].map(|side| {
            let summary = side.conn.summary().unwrap();
            summary.peer_chain.iter().map(|c| c.to_vec()).collect()
        });
        Recording {
            wire: [pair.client.wire, pair.server.wire],
            data: [pair.server.data, pair.client.data],
            exporter,
            chain,
        }
    })
}

const LABEL: &[u8] = b"EXPORTER-hostile";

/// How the victim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// An error.
    Failed,
    /// It waits for more, and would see a truncation.
    Waits,
    /// It was connected, and saw a clean close.
    Closed,
}

/// Gives `input` to a new `victim` and checks everything that it says.
fn attack(flow: Flow, victim: Role, input: &[u8]) -> End {
    let good = recording(flow);
    let (client, server) = mutual(flow);
    let mut out = Vec::new();
    let mut conn = match victim {
        Role::Server => Connection::server(Arc::new(server)),
        Role::Client => {
            Connection::client(Arc::new(client), server_name(), now(), &mut out).unwrap()
        }
    };
    let mut input = input.to_vec();
    let mut rest = &mut input[..];
    let mut data = Vec::new();
    loop {
        let read = conn.read(now(), rest, &mut out);
        let used = match &read {
            Ok(Read::Control { used }) => *used,
            Ok(Read::Data { used, data: more }) => {
                data.extend_from_slice(more);
                *used
            }
            _ => 0,
        };
        let step = read.map(|r| matches!(r, Read::Closed));
        check_events(good, victim, &mut conn);
        assert!(good.data[at(victim.peer())].starts_with(&data), "forged data");
        match step {
            Err(error) => {
                check_failure(&mut conn, &error, &mut out);
                return End::Failed;
            }
            Ok(true) => {
                assert_eq!(data, good.data[at(victim.peer())], "a close before the end");
                conn.read_eof().unwrap();
                return End::Closed;
            }
            Ok(false) if used == 0 => break,
            Ok(false) => rest = &mut rest[used..],
        }
    }
    assert!(matches!(conn.read_eof(), Err(Error::Truncated)), "a truncation that is none");
    End::Waits
}

/// Whoever says that it is connected has the keys, and has seen the certificate, of the recorded peer.
fn check_events(good: &Recording, victim: Role, conn: &mut Connection) {
    while let Some(event) = conn.poll_event() {
        match event {
            Event::Connected => {
                let mut exporter = [0; 40];
                conn.export(LABEL, None, &mut exporter).unwrap();
                assert_eq!(exporter, good.exporter, "connected with other keys");
                let chain = &conn.summary().unwrap().peer_chain;
                let known = &good.chain[at(victim.peer())];
                assert!(chain.iter().map(|c| &c[..]).eq(known), "connected with another peer");
            }
            Event::PeerClosed => assert!(conn.is_connected(), "closed before connected"),
            Event::Ask(question) => panic!("asks {question:?}"),
            _ => {}
        }
    }
}

/// The error is final, and nothing more is sent.
fn check_failure(conn: &mut Connection, error: &Error, out: &mut Vec<u8>) {
    let sent = out.len();
    let again = conn.read(now(), &mut [0; 5], out).map(drop);
    assert_eq!(format!("{again:?}"), format!("{:?}", Err::<(), _>(error)));
    let write = conn.write(b"x", out);
    assert_eq!(format!("{write:?}"), format!("{:?}", Err::<(), _>(error)));
    assert_eq!(out.len(), sent, "output after a fatal error");
}

/// Runs `attack` for each number below `count`, on every processor; how often each end came about.
fn many(count: usize, attack: impl Fn(usize) -> End + Sync) -> [usize; 3] {
    let next = AtomicUsize::new(0);
    let ends = [const { AtomicUsize::new(0) }; 3];
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        return;
                    }
                    let end = match attack(i) {
                        End::Failed => 0,
                        End::Waits => 1,
                        End::Closed => 2,
                    };
                    ends[end].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let peak = MEMORY.peak_usage();
    assert!(peak < MOST_MEMORY, "{peak} bytes were held at once");
    let ends = ends.map(AtomicUsize::into_inner);
    println!("{ends:?} of {count} failed, wait, closed; {peak} bytes at most");
    ends
}

#[test]
fn the_recordings_themselves_are_fine() {
    for flow in Flow::BOTH {
        for victim in Role::BOTH {
            let wire = &recording(flow).wire[at(victim.peer())];
            assert_eq!(attack(flow, victim, wire), End::Closed);
        }
    }
}

/// Bytes that no key protects and that a receiver has to ignore: the version in the header of each plaintext record
/// (RFC 9846 §5.1), and whatever is in a record after the handshake that it may drop.
fn is_ignored(wire: &[u8], byte: usize) -> bool {
    let mut start = 0;
    for record in records(wire) {
        if (start + 1..start + 3).contains(&byte) {
            return record[0] != 23;
        }
        start += record.len();
    }
    false
}

#[test]
fn every_byte_flipped() {
    for (flow, bit) in [(Flow::Plain, 0), (Flow::Plain, 7), (Flow::Retry, 0)] {
        for victim in Role::BOTH {
            let wire = &recording(flow).wire[at(victim.peer())];
            let ends = many(wire.len(), |i| {
                let mut bad = wire.clone();
                bad[i] ^= 1 << bit;
                let end = attack(flow, victim, &bad);
                // As application data the first ClientHello is early data, which a server that has forgotten it skips;
                // what it said is in the cookie.
                let forgotten = (flow, victim, i) == (Flow::Retry, Role::Server, 0);
                let harmless = end != End::Failed && (is_ignored(wire, i) || forgotten);
                // A longer record never ends.
                let longer = end == End::Waits;
                let failed = end == End::Failed;
                assert!(failed || harmless || longer, "{victim:?}: byte {i}, bit {bit}: {end:?}");
                end
            });
            assert!(ends[0] > wire.len() * 9 / 10, "{victim:?}: {ends:?}");
        }
    }
}

#[test]
fn every_truncation() {
    for flow in Flow::BOTH {
        for victim in Role::BOTH {
            let wire = &recording(flow).wire[at(victim.peer())];
            let ends = many(wire.len(), |len| {
                let end = attack(flow, victim, &wire[..len]);
                assert_eq!(end, End::Waits, "{victim:?}: {len} of {} bytes", wire.len());
                end
            });
            assert_eq!(ends, [0, wire.len(), 0]);
        }
    }
}

#[test]
fn ten_thousand_splices() {
    let ends = many(SPLICES, |i| {
        let mut rand = Rand::new(u64::try_from(i).unwrap());
        let (victim, flow) = (Role::BOTH[i % 2], Flow::BOTH[i / 2 % 2]);
        let wires = &recording(flow).wire;
        let mut bad = wires[at(victim.peer())].clone();
        for _ in 0..=rand.below(3) {
            splice(&mut bad, &wires[at(victim)], &mut rand);
        }
        attack(flow, victim, &bad)
    });
    assert!(ends[0] > SPLICES / 2, "{ends:?}");
}

/// A peer that holds the keys, and says something else than it should: its messages are changed before they are hashed and
/// encrypted, so that what is behind every Finished is reached.
#[test]
fn a_peer_that_says_other_things() {
    let ends = many(CHANGES, |i| {
        let liar = Role::BOTH[i % 2];
        let (mut client, mut server) = talkative(i);
        let hook = changing(liar, Rand::new(u64::try_from(i).unwrap()));
        match liar {
            Role::Client => client = client.with_message_hook(hook),
            Role::Server => server = server.with_message_hook(hook),
        }
        let mut pair = Calls::PLAIN.pair(client, server);
        pair.pump();
        for role in Role::BOTH {
            if pair.side(role).conn.is_connected() {
                let _ = pair.side(role).write(b"hello");
            }
        }
        pair.pump();
        let victim = pair.side(liar.peer());
        if victim.error.is_some() {
            return End::Failed;
        }
        // It got through because it changed nothing that matters: both still agree.
        if victim.times_connected() == 0 {
            return End::Waits;
        }
        let exporter = victim.export(LABEL, None).unwrap();
        let other = pair.side(liar);
        if other.error.is_none() {
            assert_eq!(other.export(LABEL, None).unwrap(), exporter, "run {i}");
        }
        End::Closed
    });
    assert!(ends[0] > CHANGES / 2, "{ends:?}");
}

const CHANGES: usize = 3000;

/// A client and a server that say as much as they can.
fn talkative(i: usize) -> (ClientConfig, ServerConfig) {
    let (client, server) = mutual(Flow::Plain);
    let (ocsp, scts) = (vec![0x30, 3, 0x0a, 1, 0], vec![vec![0; 40]]);
    let add = |identity: &support::Identity, provider| {
        let credential = identity.bare(provider).with_ocsp(ocsp.clone());
        vec![Arc::new(credential.with_scts(scts.clone()))]
    };
    let credentials = add(pki().server(Kind::P256), server.provider());
    let auth = server.client_auth().clone();
    let mut server = ServerConfig::new(server.provider().clone(), credentials)
        .unwrap()
        .with_client_auth(auth)
        .with_status_requests(true, true)
        .with_alpn(&[b"h2"])
        .unwrap();
    let credentials = add(pki().client(Kind::P256), client.provider());
    let mut client = client.with_alpn(&[b"imap", b"h2"]).unwrap().with_credentials(credentials);
    if i % 4 >= 2 {
        client = client.with_key_shares(&[]).unwrap();
    }
    if i % 8 >= 4 {
        server = server.with_stateless_retry(Arc::new(CookieKey::new(&[7; 32]).unwrap()));
        client = client.with_authorities(true);
    }
    (client, server)
}

/// What a stranger can send without end.
#[test]
fn endless_input_ends() {
    let message = |declared: u32, fragment: usize| {
        let [_, a, b, c] = declared.to_be_bytes();
        let len = u16::try_from(fragment).unwrap().to_be_bytes();
        let mut record = vec![22, 3, 1, len[0], len[1], 1, a, b, c];
        record.resize(5 + fragment, 0);
        record
    };
    let limit = |error: &Error, limit: Limit| matches!(error, Error::Limit(l) if *l == limit);
    let (_, server) = mutual(Flow::Plain);
    let server = Arc::new(server);

    // A message that says it is 16 MiB long.
    let first = message((1 << 24) - 1, 16_384);
    let more = [&[22, 3, 3, 64, 0][..], &[0; 16_384]].concat();
    let (error, records) = endless(Connection::server(Arc::clone(&server)), &first, &more);
    assert!(limit(&error, Limit::HandshakeMessage), "{error:?}");
    assert!(records <= 5, "{records} records were taken");

    // The same, a byte at a time, below the limit: it may take its time, but no more memory than it has sent.
    let first = message(60_000, 5);
    let (error, records) =
        endless(Connection::server(Arc::clone(&server)), &first, &[22, 3, 3, 0, 1, 0]);
    assert!(error.is_fatal());
    assert!(records <= 60_000);

    for nothing in [&[22, 3, 3, 0, 0][..], &[20, 3, 3, 0, 1, 1], &[21, 3, 3, 0, 2, 1, 90]] {
        let (client, _) = mutual(Flow::Plain);
        let mut hello = Vec::new();
        let conn = Connection::client(Arc::new(client), server_name(), now(), &mut hello).unwrap();
        for (conn, first) in [(conn, &[][..]), (Connection::server(Arc::clone(&server)), &hello)] {
            let (error, records) = endless(conn, first, nothing);
            assert!(error.is_fatal());
            assert!(records <= 40, "{records} of {nothing:?}: {error:?}");
        }
    }
    let peak = MEMORY.peak_usage();
    assert!(peak < MOST_MEMORY, "{peak} bytes were held at once");
}

/// Sends `first` and then `more` until the connection fails; with what, and after how many records.
fn endless(mut conn: Connection, first: &[u8], more: &[u8]) -> (Error, usize) {
    let mut out = Vec::new();
    for count in 1..100_000 {
        let record = if count == 1 && !first.is_empty() { first } else { more };
        let mut input = record.to_vec();
        match conn.read(now(), &mut input, &mut out) {
            Ok(Read::Control { used }) => assert_eq!(used, record.len()),
            Ok(other) => panic!("{other:?}"),
            Err(error) => return (error, count),
        }
        assert!(out.len() < 1 << 16, "{} bytes of output", out.len());
    }
    panic!("it never ends");
}
