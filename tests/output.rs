//! Output into slices of every size, from nothing up: a slice that is too small says how much is needed, nothing is lost,
//! and the bytes are those that a `Vec` gets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::sync::Arc;

use sealwire::codepoints::{Alert, NamedGroup};
use sealwire::{
    Answer, Ask, ClientAuth, ClientConfig, Connection, Error, FixedOutput, Misuse, Output, Read,
    ServerConfig, Verifier,
};
use support::{
    Calls, Kind, Pair, Rand, Role, Sink, Transport, configs_with, now, pki, server_name,
};

fn mutual() -> (ClientConfig, ServerConfig) {
    let (client, server) = configs_with(1, Kind::P256);
    let client = client.with_groups(&[NamedGroup::secp256r1, NamedGroup::x25519]).unwrap();
    let credential = pki().client(Kind::P256).credential(client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    (client.with_credentials(vec![credential]), server.with_client_auth(auth))
}

fn pair((client, server): (ClientConfig, ServerConfig), sink: Sink) -> Pair {
    Calls { transport: Transport::Glued, sink }.pair(client, server)
}

/// A whole life: handshake, data each way, new keys, more data, both closes.
fn live(pair: Pair) -> (Vec<u8>, Vec<u8>) {
    let mut pair = pair.connect();
    pair.chat();
    pair.client.update_keys(true).unwrap();
    pair.chat();
    pair.server.update_keys(false).unwrap();
    pair.transfer(Role::Server, &[1; 600]);
    for role in Role::BOTH {
        pair.side(role).close().unwrap();
        pair.pump();
    }
    assert!(pair.client.closed && pair.server.closed);
    (pair.client.wire, pair.server.wire)
}

#[test]
fn every_size_gives_the_same_bytes() {
    let expected = live(pair(mutual(), Sink::Vec));
    // No call has more to say than one side has in all.
    let whole = expected.0.len().max(expected.1.len());
    let largest = whole.min(3000);
    for size in 0..=largest {
        let seen = live(pair(mutual(), Sink::Fixed(size)));
        assert!(seen == expected, "other bytes with slices of {size}");
    }
    assert!(live(pair(mutual(), Sink::Fixed(whole))) == expected);
    assert!(live(pair(mutual(), Sink::BytesMut)) == expected);
}

#[test]
fn a_client_keeps_its_hello_until_there_is_room() {
    let (config, _) = mutual();
    let mut expected = Vec::new();
    Connection::client(Arc::new(config), server_name(), now(), &mut expected).map(drop).unwrap();
    for size in 0..=expected.len() + 1 {
        let (config, _) = mutual();
        let mut buffer = vec![0; size];
        let mut out = FixedOutput::new(&mut buffer);
        let config = Arc::new(config);
        let mut conn = Connection::client(config, server_name(), now(), &mut out).unwrap();
        let filled = out.len();
        if size >= expected.len() {
            assert_eq!(buffer[..filled], expected);
            continue;
        }
        assert_eq!(filled, 0);
        // Whatever is called next asks for the room, and does nothing else.
        let too_small = |result: Result<(), Error>| {
            let need = expected.len();
            let right = matches!(result, Err(Error::OutputTooSmall { need: n }) if n == need);
            assert!(right, "{size}: {result:?}");
        };
        let mut out = FixedOutput::new(&mut buffer);
        too_small(conn.flush(&mut out));
        too_small(conn.read(now(), &mut [22, 3, 3, 0, 0], &mut out).map(drop));
        too_small(conn.close(&mut out));
        assert!(out.is_empty());
        let mut rest = Vec::new();
        conn.flush(&mut rest).unwrap();
        assert_eq!(rest, expected);
    }
}

#[test]
fn alerts_are_not_lost() {
    let fail = |sink| {
        let (client, server) = mutual();
        let client = client.with_credentials(Vec::new());
        let pair = pair((client, server), sink);
        let pair = pair.refuse(Role::Server, Alert::certificate_required);
        (pair.client.wire, pair.server.wire)
    };
    let expected = fail(Sink::Vec);
    for size in 0..64 {
        assert!(fail(Sink::Fixed(size)) == expected, "other bytes with slices of {size}");
    }
}

#[test]
fn answers_need_room_too() {
    let ask = Ask { client_hello: true, signature: true, verdict: true, ..Ask::default() };
    let run = |sink| {
        let (client, server) = mutual();
        let mut pair = pair((client.with_ask(ask), server.with_ask(ask)), sink);
        pair.answerer = Box::new(|_, _| Some(Answer::UseConfig));
        live(pair)
    };
    let expected = run(Sink::Vec);
    for size in (0..2000).step_by(7) {
        assert!(run(Sink::Fixed(size)) == expected, "other bytes with slices of {size}");
    }
}

/// What a call says that it needs is needed: one byte less is too little.
#[test]
fn the_need_is_exact() {
    let mut pair = pair(mutual(), Sink::Vec).connect();
    let data = vec![3; 40_000];
    for round in 0..2 {
        let conn = &mut pair.client.conn;
        let mut need = 0;
        for _ in 0..3 {
            let mut buffer = vec![0; need];
            let mut out = FixedOutput::new(&mut buffer);
            match conn.write(&data, &mut out) {
                Ok(()) => {
                    assert_eq!(out.len(), need, "more was asked for than used");
                    pair.client.wire.extend_from_slice(&buffer);
                    break;
                }
                Err(Error::OutputTooSmall { need: more }) => {
                    assert!(out.is_empty());
                    assert_eq!(need, 0, "the need grew from {need} to {more}");
                    let mut less = vec![0; more - 1];
                    let again = conn.write(&data, &mut FixedOutput::new(&mut less));
                    assert!(matches!(again, Err(Error::OutputTooSmall { need }) if need == more));
                    need = more;
                }
                other => panic!("{other:?}"),
            }
        }
        pair.pump();
        assert_eq!(pair.server.data.len(), data.len() * (round + 1));
    }
    assert!(pair.server.data.iter().all(|b| *b == 3));
}

/// A connection under calls in any order, and what it must have done.
struct Monkey {
    conn: Connection,
    /// What has left it, and how much of that has arrived at its peer.
    wire: Vec<u8>,
    arrived: usize,
    inbox: Vec<u8>,
    /// What it accepted for sending, and what it delivered.
    sent: Vec<u8>,
    received: Vec<u8>,
    closed: bool,
}

impl Monkey {
    fn new(conn: Connection, wire: Vec<u8>) -> Self {
        let (inbox, sent, received) = (Vec::new(), Vec::new(), Vec::new());
        Self { conn, wire, arrived: 0, inbox, sent, received, closed: false }
    }

    /// A call with room for `room` bytes. Whether it did what it was to do.
    fn call(
        &mut self,
        room: usize,
        call: impl FnOnce(&mut Connection, &mut dyn Output) -> Result<(), Error>,
    ) -> bool {
        let mut buffer = vec![0; room];
        let mut out = FixedOutput::new(&mut buffer);
        let result = call(&mut self.conn, &mut out);
        let filled = out.len();
        self.wire.extend_from_slice(&buffer[..filled]);
        match result {
            Ok(()) => true,
            Err(Error::OutputTooSmall { need }) => {
                assert!(need > room && filled == 0, "{need} into {room}, {filled} done");
                false
            }
            Err(Error::Misuse(_)) => {
                assert_eq!(filled, 0, "output of a misused call");
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn read(&mut self, room: usize) {
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut step = (0, Vec::new());
        self.call(room, |conn, out| {
            match conn.read(now(), &mut inbox, out)? {
                Read::Control { used } => step.0 = used,
                Read::Data { used, data } => step = (used, data.to_vec()),
                Read::EarlyData { .. } => panic!("nobody sends early data"),
                Read::NeedMore { .. } | Read::Waiting | Read::Closed => {}
            }
            Ok(())
        });
        inbox.drain(..step.0);
        self.received.extend(step.1);
        self.inbox = inbox;
        while self.conn.poll_event().is_some() {}
    }

    fn seal(&mut self, data: &[u8]) {
        let mut record = [&[0; 5], data, &[0; 17]].concat();
        match self.conn.seal(&mut record, data.len()) {
            Ok(len) => {
                self.wire.extend_from_slice(&record[..len]);
                self.sent.extend_from_slice(data);
            }
            Err(Error::Misuse(misuse)) => match misuse {
                Misuse::OutputWaiting | Misuse::NotConnected | Misuse::Closed => {}
                other => panic!("{other:?}"),
            },
            Err(other) => panic!("{other:?}"),
        }
    }

    /// One call, whichever.
    fn act(&mut self, rand: &mut Rand, may_close: bool) {
        let room = [0, 1, 30, 300, 100_000][rand.below(5)];
        let len = [1, 17, 400, 20_000][rand.below(4)];
        let data = vec![rand.next().to_le_bytes()[0]; len];
        match rand.below(12) {
            0 | 1 => {
                if self.call(room, |conn, out| conn.write(&data, out)) {
                    self.sent.extend_from_slice(&data);
                }
            }
            2 => self.seal(&data[..len.min(400)]),
            3 => {
                let ask = rand.below(2) == 0;
                self.call(room, |conn, out| conn.update_keys(ask, out));
            }
            4 => drop(self.call(room, |conn, out| conn.flush(out))),
            5 if self.conn.waiting_for().is_some() => {
                self.call(room, |conn, out| conn.answer(now(), Answer::UseConfig, out));
            }
            5 | 6 => drop(self.call(room, |conn, out| conn.answer(now(), Answer::Accept, out))),
            7 if may_close && self.conn.is_connected() => {
                self.closed |= self.call(room, Connection::close);
            }
            8 => {
                let mut out = [0; 16];
                let result = self.conn.export(b"EXPORTER-x", None, &mut out);
                assert_eq!(result.is_ok(), self.conn.is_connected());
            }
            _ => self.read(room),
        }
    }
}

/// Nothing is lost, doubled or reordered, whatever is called when and with however little room.
#[test]
fn any_calls_in_any_order() {
    let ask = Ask { client_hello: true, signature: true, verdict: true, ..Ask::default() };
    let (mut connected, mut bytes) = (0, 0);
    for seed in 0..300 {
        let mut rand = Rand::new(seed);
        let (client, server) = mutual();
        let mut hello = Vec::new();
        let client = Arc::new(client.with_ask(ask).with_key_update_after(20));
        let client = Connection::client(client, server_name(), now(), &mut hello).unwrap();
        let server = Connection::server(Arc::new(server.with_ask(ask)));
        let mut sides = [Monkey::new(client, hello), Monkey::new(server, Vec::new())];
        for step in 0..400 {
            let from = rand.below(2);
            sides[from].act(&mut rand, step > 300);
            deliver(&mut sides, from, rand.below(2000));
        }
        // Then everything is let through.
        for _ in 0..200 {
            for from in 0..2 {
                let side = &mut sides[from];
                side.read(1 << 20);
                if side.conn.waiting_for().is_some() {
                    side.call(1 << 20, |conn, out| conn.answer(now(), Answer::UseConfig, out));
                }
                side.call(1 << 20, |conn, out| conn.flush(out));
                deliver(&mut sides, from, usize::MAX);
            }
        }
        let [client, server] = &sides;
        assert!(client.conn.is_connected() && server.conn.is_connected(), "seed {seed}");
        assert!(client.received == server.sent, "seed {seed}: server's data");
        assert!(server.received == client.sent, "seed {seed}: client's data");
        assert_eq!(client.conn.is_peer_closed(), server.closed, "seed {seed}");
        assert_eq!(server.conn.is_peer_closed(), client.closed, "seed {seed}");
        connected += 1;
        bytes += client.sent.len() + server.sent.len();
    }
    println!("{connected} connections carried {bytes} bytes");
    assert!(bytes > 1_000_000, "only {bytes} bytes were sent");
}

/// Moves at most `most` bytes of what has left one side to the other.
fn deliver(sides: &mut [Monkey; 2], from: usize, most: usize) {
    let side = &mut sides[from];
    let end = side.wire.len().min(side.arrived.saturating_add(most));
    let piece = side.wire[side.arrived..end].to_vec();
    side.arrived = end;
    sides[1 - from].inbox.extend(piece);
}
