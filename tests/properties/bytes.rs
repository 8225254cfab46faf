//! Bytes on both ways: any calls on both sides lose, double and reorder nothing; and any cuts of a stream give the same.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::{
    ClientAuth, Connection, CookieKey, Event, Limits, Read, ServerConfig, TicketKeys, Verifier,
};

use super::cases;
use super::support::{
    Calls, Kind, Pair, Role, Side, Sink, Transport, configs_with, now, pki, server_name,
};

/// Something that one side does.
#[derive(Clone, Debug)]
enum Call {
    Write(usize),
    /// In place, with so many bytes of room besides what is needed.
    Seal(usize, usize),
    UpdateKeys(bool),
    /// So many bytes of what is under way arrive, and are read.
    Read(usize),
    Close,
}

fn call() -> impl Strategy<Value = (Role, Call)> {
    let call = prop_oneof![
        4 => prop_oneof![4 => 0..300_usize, 1 => 16_000..33_000_usize].prop_map(Call::Write),
        4 => (0..300_usize, 0..3_usize).prop_map(|(len, more)| Call::Seal(len, more)),
        2 => any::<bool>().prop_map(Call::UpdateKeys),
        6 => prop_oneof![1..40_usize, 1..20_000_usize].prop_map(Call::Read),
        1 => Just(Call::Close),
    ];
    (prop::sample::select(&Role::BOTH[..]), call)
}

/// One side's view of what it has sent.
#[derive(Default)]
struct Sent {
    data: Vec<u8>,
    closed: bool,
}

/// Bytes that tell where they belong.
fn numbered(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

fn act(side: &mut Side, sent: &mut Sent, call: &Call) {
    match *call {
        Call::Write(len) => {
            let data = numbered(sent.data.len(), len);
            let result = side.write(&data);
            assert_eq!(result.is_ok(), !sent.closed, "{result:?}");
            if result.is_ok() {
                sent.data.extend(data);
            }
        }
        Call::Seal(len, more) => {
            let data = numbered(sent.data.len(), len);
            let mut record = [&[0; 5][..], &data, &vec![0; 17 + more]].concat();
            let mut result = side.conn.seal(&mut record, len);
            if matches!(result, Err(sealwire::Error::Misuse(sealwire::Misuse::OutputWaiting))) {
                side.call(|conn, out| conn.flush(out)).unwrap();
                result = side.conn.seal(&mut record, len);
            }
            assert_eq!(result.is_ok(), !sent.closed, "{result:?}");
            if let Ok(total) = result {
                side.wire.extend_from_slice(&record[..total]);
                sent.data.extend(data);
            }
        }
        Call::UpdateKeys(ask) => {
            let result = side.update_keys(ask);
            assert_eq!(result.is_ok(), !sent.closed, "{result:?}");
        }
        Call::Close => {
            side.close().unwrap();
            sent.closed = true;
        }
        Call::Read(_) => unreachable!(),
    }
}

/// Moves at most `most` bytes from one side to the other.
fn arrive(pair: &mut Pair, from: Role, most: usize) {
    let side = pair.side(from);
    let to = (side.taken + most).min(side.wire.len());
    let piece = side.wire[side.taken..to].to_vec();
    side.taken = to;
    let peer = pair.side(from.peer());
    peer.inbox.extend_from_slice(&piece);
    peer.drain(now());
}

proptest! {
    #![proptest_config(cases(96))]

    /// Any sequence of `write`, `seal`, `update_keys`, `close` and `read` on both sides, into outputs of any size.
    #[test]
    fn nothing_is_lost_doubled_or_reordered(
        calls in vec(call(), 1..80), sink in prop_oneof![Just(Sink::Vec), (0..600_usize).prop_map(Sink::Fixed)],
        update_after in 2..200_u64, max_fragment in prop_oneof![1 => 300..600_usize, 2 => Just(16_384_usize)],
    ) {
        let (client, server) = configs_with(1, Kind::Ed25519);
        // As many KeyUpdates as there can be in one case.
        let mut limits = Limits::default();
        limits.key_updates = 200;
        let client = client.with_limits(limits).with_key_update_after(update_after);
        let server = server.with_limits(limits).with_max_fragment(max_fragment).unwrap();
        let mut pair = Calls { transport: Transport::Glued, sink }.pair(client, server).connect();
        let mut sent = [Sent::default(), Sent::default()];
        let at = |role| usize::from(role == Role::Server);
        for (role, call) in &calls {
            match call {
                Call::Read(most) => arrive(&mut pair, role.peer(), *most),
                call => act(pair.side(*role), &mut sent[at(*role)], call),
            }
            for role in Role::BOTH {
                prop_assert!(pair.side(role).error.is_none(), "{:?}", pair.side(role).error);
                let received = &pair.side(role).data;
                prop_assert!(sent[at(role.peer())].data.starts_with(received));
            }
        }
        pair.pump();
        for role in Role::BOTH {
            let sent = &sent[at(role.peer())];
            let side = pair.side(role);
            prop_assert!(side.error.is_none(), "{:?}", side.error);
            prop_assert!(side.data == sent.data, "{} of {} bytes", side.data.len(), sent.data.len());
            prop_assert_eq!((side.closed, side.times_closed()), (sent.closed, usize::from(sent.closed)));
            prop_assert_eq!(side.conn.read_eof().is_ok(), sent.closed);
        }
    }
}

/// Which of the flows a stream is from.
#[derive(Clone, Copy, Debug)]
struct Flow {
    mutual: bool,
    retry: bool,
    cookie: bool,
    tickets: bool,
}

fn flow() -> impl Strategy<Value = Flow> {
    any::<[bool; 4]>().prop_map(|[mutual, retry, cookie, tickets]| Flow {
        mutual,
        retry,
        cookie,
        tickets,
    })
}

fn ends(flow: Flow) -> (sealwire::ClientConfig, ServerConfig) {
    let (mut client, mut server) = configs_with(5, Kind::Ed25519);
    if flow.mutual {
        let credential = pki().client(Kind::Ed25519).credential(client.provider());
        client = client.with_credentials(vec![credential]);
        server = server.with_client_auth(ClientAuth::Required(Verifier::new(pki().anchors())));
    }
    if flow.retry {
        client = client.with_key_shares(&[]).unwrap();
    }
    if flow.cookie {
        server = server.with_stateless_retry(Arc::new(CookieKey::new(&[7; 32]).unwrap()));
    }
    if flow.tickets {
        client = client.with_sessions(Arc::new(sealwire::MemorySessions::default()));
        let tickets = TicketKeys::new(server.provider(), now()).unwrap();
        server = server.with_tickets(Arc::new(tickets));
    }
    (client, server)
}

/// Both sides of a whole life: handshake, data, new keys, closes.
fn live(flow: Flow) -> Pair {
    let (client, server) = ends(flow);
    let mut pair = Calls::PLAIN.pair(client, server).connect();
    pair.chat();
    pair.client.update_keys(true).unwrap();
    pair.chat();
    pair.transfer(Role::Server, &[1; 20_000]);
    for role in Role::BOTH {
        pair.side(role).close().unwrap();
        pair.pump();
    }
    pair
}

/// What a side makes of its peer's stream.
#[derive(Debug, PartialEq)]
struct Seen {
    data: Vec<u8>,
    events: Vec<String>,
    output: Vec<u8>,
    error: Option<String>,
}

/// Gives `wire` to a new `victim`, cut behind these numbers of bytes.
fn feed(flow: Flow, victim: Role, wire: &[u8], cuts: &[usize]) -> Seen {
    let (client, server) = ends(flow);
    let mut output = Vec::new();
    let mut conn = match victim {
        Role::Server => Connection::server(Arc::new(server)),
        Role::Client => {
            Connection::client(Arc::new(client), server_name(), now(), &mut output).unwrap()
        }
    };
    let mut seen = Seen { data: Vec::new(), events: Vec::new(), output, error: None };
    let mut input = Vec::new();
    let mut rest = wire;
    let mut cuts = cuts.iter();
    while seen.error.is_none() && !rest.is_empty() {
        let len = cuts.next().map_or(rest.len(), |cut| (*cut).min(rest.len()));
        input.extend_from_slice(&rest[..len]);
        rest = &rest[len..];
        loop {
            let used = match conn.read(now(), &mut input, &mut seen.output) {
                Ok(Read::Control { used }) => used,
                Ok(Read::Data { used, data }) => {
                    seen.data.extend_from_slice(data);
                    used
                }
                Ok(_) => break,
                Err(error) => {
                    seen.error = Some(error.to_string());
                    break;
                }
            };
            input.drain(..used);
        }
        while let Some(event) = conn.poll_event() {
            if !matches!(event, Event::Ask(_)) {
                seen.events.push(format!("{event:?}"));
            }
        }
    }
    seen
}

proptest! {
    #![proptest_config(cases(64))]

    /// Any split of any input gives the same events, bytes, answers and errors: a good stream, and one with a flip.
    #[test]
    fn any_split_gives_the_same(
        flow in flow(), victim in prop::sample::select(&Role::BOTH[..]),
        cuts in vec(prop_oneof![1..30_usize, 1..3000_usize], 0..60),
        flip in prop::option::of((any::<prop::sample::Index>(), 1..=255_u8)),
    ) {
        let mut pair = live(flow);
        let mut wire = std::mem::take(&mut pair.side(victim.peer()).wire);
        if let Some((at, bits)) = flip {
            let at = at.index(wire.len());
            wire[at] ^= bits;
        }
        let whole = feed(flow, victim, &wire, &[]);
        prop_assert!(flip.is_some() || whole.error.is_none(), "{:?}", whole.error);
        prop_assert_eq!(feed(flow, victim, &wire, &cuts), whole);
    }
}
