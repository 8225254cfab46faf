//! A gigabyte of each flood: it ends in the limit that has its name, or it goes on, and in either case a connection holds no
//! more than [`MOST`], which is what the README promises.
//!
//! What is offered beyond a limit is not looked at any more, so that floods which end soon are offered to one connection
//! after another, a burst each. The victims are copies: of a connection that was frozen once, and of a first flight under
//! the same randomness, so that a burst that was made once fits them all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use peak_alloc::PeakAlloc;
use sealwire::codepoints::{ExtensionType, HandshakeType, NamedGroup};
use sealwire::compress::{Brotli, CertificateCompression, Zlib, Zstd};
use sealwire::crypto::deterministic::MessageHook;
use sealwire::{
    ClientConfig, Connection, Error, Limit, MemorySessions, MigrationKey, Read, ServerConfig,
    TicketKeys, Violation,
};
use support::{Calls, Pair, Role, configs, now, records, seeded, server_name};

/// Counts every byte that this process holds.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What a connection under attack may hold at any moment, whatever the flood: 512 KiB.
const MOST: usize = 512 << 10;
/// What each flood offers.
const FLOOD: usize = 1 << 30;
/// What is offered to a connection that refuses it.
const BURST: usize = 4 << 20;

/// What comes out of a bomb.
const BOMB: usize = 8 << 20;

/// One test, so that nothing else is counted.
#[test]
fn a_gigabyte_of_each_flood_is_borne() {
    let mut worst = 0;
    let mut note = |name: &str, (ended, peak): (Option<Error>, usize), limit: Option<Limit>| {
        println!("{name:32} {:6} KiB at most; {ended:?}", peak >> 10);
        assert_eq!(ended.as_ref().and_then(Error::limit), limit, "{name}: {ended:?}");
        assert!(peak <= MOST, "{name}: {peak} bytes");
        worst = worst.max(peak);
    };

    // After the handshake.
    let server = Frozen::new(Role::Server);
    let client = Frozen::new(Role::Client);
    note("empty records", server.burst(&empty(&server)), Some(Limit::EmptyRecords));
    note("key updates", server.burst(&key_updates(&server)), Some(Limit::KeyUpdates));
    note("tickets", client.burst(&tickets(&client)), Some(Limit::Tickets));
    note("warnings", server.burst(&warnings(&server)), Some(Limit::Warnings));
    for victim in [&server, &client] {
        let long = victim.seal(|w| w.raw(22, &[[4, 1, 0, 1].as_slice(), &[0; 9_000]].concat()));
        note("a message too long", victim.burst(&long), Some(Limit::HandshakeMessage));
    }
    note("a message byte by byte", client.burst_once(&fragments(&client, 1 << 16)), None);
    note("half a message", client.burst(&fragments(&client, 64)), None);
    note("data", data(&server, 0), None);
    note("data and key updates", data(&server, 2), None);

    // Within it.
    note("change_cipher_spec", change_cipher_specs(), Some(Limit::ChangeCipherSpecs));
    note("early data", early_data(), Some(Limit::SkippedEarlyData));
    note("half a ClientHello", half_hellos(), None);
    for (name, certificates, limit) in [
        ("a chain of long certificates", 7, None),
        ("too long certificates", 10, Some(Limit::ChainBytes)),
        ("too many certificates", 17, Some(Limit::ChainLength)),
    ] {
        let (error, peak) = chains(certificates);
        if limit.is_none() {
            assert!(matches!(error, Some(Error::Certificate(_))), "{error:?}");
            note(name, (None, peak), None);
        } else {
            note(name, (error, peak), limit);
        }
    }
    let algorithms: [(_, Arc<dyn CertificateCompression>); 3] = [
        ("a bomb of zlib", Arc::new(Zlib)),
        ("a bomb of Brotli", Arc::new(Brotli)),
        ("a bomb of Zstandard", Arc::new(Zstd)),
    ];
    for (name, algorithm) in algorithms {
        let (error, peak) = bombs(&algorithm);
        let refused = matches!(error, Some(Error::Violation(Violation::BadCompression)));
        assert!(refused, "{name}: {error:?}");
        note(name, (None, peak), None);
    }
    println!("{} KiB at most", worst >> 10);
}

/// What a victim said to a flood, and what it held at most.
type Verdict = (Option<Error>, usize);

/// Both ends of a connection, to be thawed as often as one likes: each time from the same point on.
struct Frozen {
    victim: Role,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    blobs: [Vec<u8>; 2],
}

const KEY: [u8; 32] = [9; 32];

impl Frozen {
    fn new(victim: Role) -> Self {
        let (client, server) = configs(1);
        let tickets = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
        let client = client.with_sessions(Arc::new(MemorySessions::new(64, 1 << 16)));
        let server = server.with_tickets(tickets);
        let pair = Calls::PLAIN.pair(client.clone(), server.clone()).connect();
        let Pair { client: ours, server: theirs, .. } = pair;
        let blobs = [ours, theirs].map(|side| side.conn.freeze(&key()).unwrap());
        Self { victim, client: Arc::new(client), server: Arc::new(server), blobs }
    }

    /// A key that has thawed nothing yet.
    fn thaw(&self, role: Role) -> Connection {
        match role {
            Role::Client => Connection::thaw_client(&self.client, &key(), &self.blobs[0]),
            Role::Server => Connection::thaw_server(&self.server, &key(), &self.blobs[1]),
        }
        .unwrap()
    }

    /// What the attacker says through the library.
    fn say(&self, talk: impl Fn(&mut Connection, &mut Vec<u8>)) -> Vec<u8> {
        let (mut conn, mut wire) = (self.thaw(self.victim.peer()), Vec::new());
        talk(&mut conn, &mut wire);
        wire
    }

    /// What the attacker seals by itself.
    fn seal(&self, say: impl Fn(&mut Sealer)) -> Vec<u8> {
        let mut sealer = Sealer::new(self.thaw(self.victim.peer()));
        say(&mut sealer);
        sealer.wire
    }

    /// Offers bursts that begin with `wire` to copies of the victim, until it is a gigabyte.
    fn burst(&self, wire: &[u8]) -> Verdict {
        bursts(wire, FLOOD, || self.thaw(self.victim))
    }

    /// The same to a single one.
    fn burst_once(&self, wire: &[u8]) -> Verdict {
        bursts(wire, 1, || self.thaw(self.victim))
    }
}

fn key() -> MigrationKey {
    MigrationKey::new(&seeded(0), &KEY).unwrap()
}

/// A record layer that seals whatever it is told to.
struct Sealer {
    key: Box<dyn sealwire::crypto::AeadKey>,
    iv: [u8; 12],
    sequence: u64,
    wire: Vec<u8>,
}

impl Sealer {
    fn new(conn: Connection) -> Self {
        let keys = conn.into_traffic_keys().unwrap();
        let suite = seeded(0).suite(keys.suite).unwrap();
        let key = suite.aead.key(keys.sending.key.expose()).unwrap();
        let iv = keys.sending.iv.expose().try_into().unwrap();
        Self { key, iv, sequence: keys.sending.sequence, wire: Vec::new() }
    }

    /// A record of this type and content.
    fn raw(&mut self, kind: u8, content: &[u8]) {
        let mut inner = content.to_vec();
        inner.push(kind);
        let len = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
        let header = [23, 3, 3, len[0], len[1]];
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()).for_each(|(n, s)| *n ^= s);
        self.sequence += 1;
        let tag = self.key.seal(nonce, &header, &mut inner).unwrap();
        self.wire.extend(header);
        self.wire.extend(inner);
        self.wire.extend(tag);
    }
}

/// Hands `conn` the records of `wire`, one after the other: what it failed with.
fn feed(conn: &mut Connection, wire: &mut [u8], out: &mut Vec<u8>) -> Option<Error> {
    let mut at = 0;
    loop {
        out.clear();
        match conn.read(now(), &mut wire[at..], out) {
            Ok(Read::Control { used } | Read::Data { used, .. }) => at += used,
            Ok(Read::NeedMore { .. }) => return None,
            Ok(other) => panic!("{other:?}"),
            Err(error) => return Some(error),
        }
    }
}

/// Offers bursts that begin with `wire` to one new victim after the other. All of them say the same.
fn bursts(wire: &[u8], flood: usize, victim: impl Fn() -> Connection) -> Verdict {
    let mut burst = wire.to_vec();
    let mut said: Option<String> = None;
    let (mut out, mut offered, mut worst, mut last) = (Vec::with_capacity(1 << 12), 0, 0, None);
    while offered < flood {
        burst.copy_from_slice(wire);
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let mut conn = victim();
        last = feed(&mut conn, &mut burst, &mut out);
        worst = worst.max(MEMORY.peak_usage().saturating_sub(before));
        drop(conn);
        let now = format!("{last:?}");
        assert!(said.as_ref().is_none_or(|before| *before == now), "{said:?}, and then {now}");
        said = Some(now);
        // What is refused may as well be longer.
        offered += if last.is_some() { BURST.max(wire.len()) } else { wire.len() };
    }
    (last, worst)
}

fn empty(frozen: &Frozen) -> Vec<u8> {
    frozen.seal(|w| (0..40).for_each(|_| w.raw(23, &[])))
}

fn warnings(frozen: &Frozen) -> Vec<u8> {
    frozen.seal(|w| (0..40).for_each(|_| w.raw(21, &[1, 90])))
}

fn key_updates(frozen: &Frozen) -> Vec<u8> {
    frozen.say(|conn, wire| (0..40).for_each(|_| conn.update_keys(true, wire).unwrap()))
}

fn tickets(frozen: &Frozen) -> Vec<u8> {
    frozen.say(|conn, wire| (0..40).for_each(|_| conn.send_ticket(now(), wire).unwrap()))
}

/// Runs one connection for a gigabyte, which it takes. `next` says what comes.
fn stream(mut victim: Connection, mut next: impl FnMut(&mut Vec<u8>)) -> Verdict {
    let mut wire = Vec::with_capacity(1 << 18);
    let (mut out, mut offered) = (Vec::with_capacity(1 << 12), 0);
    let before = MEMORY.current_usage();
    let mut worst = 0;
    while offered < FLOOD {
        wire.clear();
        next(&mut wire);
        offered += wire.len();
        MEMORY.reset_peak_usage();
        let error = feed(&mut victim, &mut wire, &mut out);
        worst = worst.max(MEMORY.peak_usage().saturating_sub(before));
        if error.is_some() {
            return (error, worst);
        }
    }
    (None, worst)
}

/// The longest message there may be, but for its last byte; the first so many bytes of it in a record each.
fn fragments(frozen: &Frozen, singly: usize) -> Vec<u8> {
    let mut message = vec![4, 1, 0, 0];
    message.resize(3 + (1 << 16), 0);
    let (bytes, rest) = message.split_at(singly.min(message.len()));
    frozen.seal(|w| bytes.chunks(1).chain(rest.chunks(1 << 14)).for_each(|part| w.raw(22, part)))
}

/// Data, and so many key changes before every eighth record of it. Nobody looks at the events.
fn data(frozen: &Frozen, updates: usize) -> Verdict {
    let mut attacker = frozen.thaw(frozen.victim.peer());
    let data = vec![b'x'; 1 << 14];
    stream(frozen.thaw(frozen.victim), |wire| {
        (0..updates).for_each(|_| attacker.update_keys(true, wire).unwrap());
        (0..8).for_each(|_| attacker.write(&data, wire).unwrap());
    })
}

/// Both with one group, so that a victim is soon made.
fn x25519(seed: u64) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs(seed);
    let groups = [NamedGroup::x25519];
    (client.with_groups(&groups).unwrap(), server.with_groups(&groups).unwrap())
}

/// A ClientHello whose message `edit` has changed.
fn hello(edit: fn(&mut Vec<u8>)) -> Vec<u8> {
    let hook = MessageHook(Arc::new(move |kind, message: &mut Vec<u8>| {
        if kind == HandshakeType::client_hello {
            edit(message);
        }
    }));
    let client = x25519(2).0;
    let mut wire = Vec::new();
    let config = Arc::new(client.with_message_hook(hook));
    Connection::client(config, server_name(), now(), &mut wire).unwrap();
    records(&wire)[0].to_vec()
}

fn new_server() -> impl Fn() -> Connection {
    let server = Arc::new(x25519(2).1);
    move || Connection::server(server.clone())
}

fn change_cipher_specs() -> Verdict {
    let mut wire = hello(|_| {});
    wire.extend([20, 3, 3, 0, 1, 1].repeat(100));
    bursts(&wire, FLOOD, new_server())
}

/// Early data that was offered, and that the server cannot read.
fn early_data() -> Verdict {
    let mut wire = hello(|message| {
        // The extensions come last, so that one more makes all lengths longer by four.
        let kind = ExtensionType::early_data.0.to_be_bytes();
        message.extend([kind[0], kind[1], 0, 0]);
        let body = u32::try_from(message.len() - 4).unwrap().to_be_bytes();
        message[1..4].copy_from_slice(&body[1..]);
        let after_session = 4 + 34 + 1 + usize::from(message[4 + 34]);
        let suites =
            usize::from(u16::from_be_bytes([message[after_session], message[after_session + 1]]));
        let at = after_session + 2 + suites + 2;
        let len = u16::try_from(message.len() - at - 2).unwrap().to_be_bytes();
        message[at..at + 2].copy_from_slice(&len);
    });
    let record = [&[23, 3, 3, 0x40, 0][..], &[7; 0x4000]].concat();
    wire.extend(record.repeat(8));
    bursts(&wire, FLOOD, new_server())
}

/// The longest ClientHello, up to its last byte.
fn half_hellos() -> Verdict {
    let mut message = vec![1, 1, 0, 0];
    message.resize(3 + (1 << 16), 0);
    let mut wire = Vec::new();
    // The beginning of it a byte at a time.
    let (bytes, rest) = message.split_at(64);
    for part in bytes.chunks(1).chain(rest.chunks(1 << 14)) {
        let len = u16::try_from(part.len()).unwrap().to_be_bytes();
        wire.extend([22, 3, 3, len[0], len[1]]);
        wire.extend(part);
    }
    bursts(&wire, FLOOD, new_server())
}

/// A server that shows so many certificates of about 14,000 bytes, full of names. None of it leads anywhere.
fn chains(certificates: usize) -> Verdict {
    let long = (0..certificates).map(|number| {
        let names: Vec<_> =
            (0..400).map(|n| format!("host-{n:03}-{number}.long.example.test")).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(names).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    });
    // Enough of them for one Certificate message, and short ones where the number counts.
    let mut list = Vec::new();
    for der in long {
        let der = if certificates > 10 { der[..100].to_vec() } else { der };
        list.extend(&u32::try_from(der.len()).unwrap().to_be_bytes()[1..]);
        list.extend(der);
        list.extend([0, 0]);
    }
    let hook = MessageHook(Arc::new(move |kind, message: &mut Vec<u8>| {
        if kind == HandshakeType::certificate {
            let len = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
            let head = [vec![11], len(list.len() + 4), vec![0], len(list.len())].concat();
            *message = [head, list.clone()].concat();
        }
    }));
    // Under the same randomness the client is the same each time, and so the server's flight fits it.
    let new_client = || {
        let mut wire = Vec::new();
        let config = Arc::new(x25519(3).0);
        (Connection::client(config, server_name(), now(), &mut wire).unwrap(), wire)
    };
    let mut server = Connection::server(Arc::new(x25519(3).1.with_message_hook(hook)));
    let (_, mut first) = new_client();
    let mut flight = Vec::new();
    let _used = server.read(now(), &mut first, &mut flight).unwrap();
    bursts(&flight, FLOOD, || new_client().0)
}

/// A server whose compressed certificate is a bomb: what comes out of it would be a hundred times what it says.
fn bombs(algorithm: &Arc<dyn CertificateCompression>) -> Verdict {
    let compressed = algorithm.compress(&vec![0; BOMB]).unwrap();
    let kind = algorithm.algorithm().0.to_be_bytes();
    let hook = MessageHook(Arc::new(move |sent, message: &mut Vec<u8>| {
        if sent == HandshakeType::compressed_certificate {
            let len = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
            let body = [&kind[..], &len(1 << 16), &len(compressed.len()), &compressed].concat();
            *message = [vec![25], len(body.len()), body].concat();
        }
    }));
    let takes = |config: ClientConfig| {
        config.with_certificate_compression(vec![algorithm.clone()]).unwrap()
    };
    let new_client = || {
        let mut wire = Vec::new();
        let config = Arc::new(takes(x25519(4).0));
        (Connection::client(config, server_name(), now(), &mut wire).unwrap(), wire)
    };
    let server = x25519(4).1.with_certificate_compression(vec![algorithm.clone()]).unwrap();
    let mut server = Connection::server(Arc::new(server.with_message_hook(hook)));
    let (_, mut first) = new_client();
    let mut flight = Vec::new();
    let _used = server.read(now(), &mut first, &mut flight).unwrap();
    // A gigabyte of what would come out.
    bursts(&flight, FLOOD / BOMB * BURST, || new_client().0)
}
