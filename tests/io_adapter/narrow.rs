//! Early data and its answer, over transports of every kind.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use sealwire::adapter::io::Stream;
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, EarlyData, MemoryReplay, MemorySessions, ServerConfig, SessionStore, TicketKeys,
};

use crate::transport::{End, Manners, POLITE};
use crate::{Pki, both, name, pair, read_some, sample, write_some};

/// How much early data the server takes.
const LIMIT: usize = 5_000;

struct Friends {
    client: ClientConfig,
    server: ServerConfig,
    sessions: Arc<MemorySessions>,
}

impl Friends {
    /// They have met, and the client can send early data.
    fn new() -> Self {
        let pki = Pki::new();
        let sessions = Arc::new(MemorySessions::default());
        let client = pki.client().with_sessions(sessions.clone()).with_early_data(true);
        let server = pki.server();
        let keys = TicketKeys::new(server.provider(), UnixTime::now()).unwrap();
        // Its warm-up is long over.
        let start = UnixTime::now().as_secs() - 100;
        let start = UnixTime::since_unix_epoch(Duration::from_secs(start));
        let replay = Arc::new(MemoryReplay::new(1000, start));
        let server = server.with_tickets(Arc::new(keys)).with_ticket_policy(16, 1000).unwrap();
        let server = server.with_early_data(replay, LIMIT.try_into().unwrap());
        let this = Self { client: client.with_ticket_request(8, 8), server, sessions };
        this.meet();
        this
    }

    /// A connection that brings sessions.
    fn meet(&self) {
        let (mut client, mut server) = pair(self.client.clone(), self.server.clone(), POLITE);
        let (mut out, mut got) = (&b"hello"[..], Vec::new());
        let (c, s) =
            both(|| read_some(&mut client, &mut got, 5), || write_some(&mut server, &mut out));
        c.unwrap();
        s.unwrap();
        assert!(!self.sessions.is_empty());
    }

    fn pair(&self, manners: Manners) -> (Stream<End>, Stream<End>) {
        if self.sessions.is_empty() {
            self.meet();
        }
        pair(self.client.clone(), self.server.clone(), manners)
    }
}

/// Reads early data until its end.
fn read_early(stream: &mut Stream<End>, into: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let length = {
            let mut reader = stream.early_data();
            let data = reader.fill_buf()?;
            into.extend_from_slice(data);
            let length = data.len();
            reader.consume(length);
            length
        };
        if length == 0 {
            return Ok(());
        }
    }
}

#[test]
fn early_data_is_a_stream_of_its_own_over_every_transport() {
    let friends = Friends::new();
    let (early, late) = (sample(4_000), sample(3_000));
    for chunk in [1, 7, 1_000, usize::MAX] {
        for capacity in [300, usize::MAX] {
            for hiccup in [0, 2, 5] {
                let manners = Manners { chunk, capacity, hiccup };
                let (mut client, mut server) = friends.pair(manners);
                assert_eq!(client.write_early(&early).unwrap(), early.len(), "{manners:?}");
                let (mut out, mut got, mut ended) = (&late[..], Vec::new(), false);
                let (mut early_got, mut late_got) = (Vec::new(), Vec::new());
                let (c, s) = both(
                    || write_some(&mut client, &mut out),
                    || {
                        if !ended {
                            read_early(&mut server, &mut early_got)?;
                            ended = true;
                        }
                        read_some(&mut server, &mut late_got, late.len())
                    },
                );
                c.unwrap();
                s.unwrap();
                assert!(early_got == early && late_got == late, "{manners:?}");
                for stream in [&client, &server] {
                    let summary = stream.summary().unwrap();
                    assert!(summary.resumed, "{manners:?}");
                    assert_eq!(summary.early_data, EarlyData::Accepted);
                }
                assert!(server.take_early_data().is_empty(), "it was read");
                // Once there is an answer no more can go early, and the way back is free.
                assert_eq!(client.write_early(b"late").unwrap(), 0);
                let mut out = &b"good"[..];
                let (c, s) = both(
                    || read_some(&mut client, &mut got, 4),
                    || write_some(&mut server, &mut out),
                );
                c.unwrap();
                s.unwrap();
                assert_eq!(got, b"good");
            }
        }
    }
}

#[test]
fn the_answer_comes_before_the_handshake_is_complete() {
    let friends = Friends::new();
    let (mut client, mut server) = friends.pair(POLITE);
    client.write_early(b"are you there?").unwrap();
    client.flush().unwrap();
    let mut early = [0; 14];
    server.early_data().read_exact(&mut early).unwrap();
    assert_eq!(&early, b"are you there?");
    assert!(server.summary().is_none(), "the client has not finished yet");
    server.write_half_rtt(b"I am").unwrap();
    server.flush().unwrap();
    let mut answer = [0; 4];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"I am");
    client.flush().unwrap();
    server.handshake().unwrap();
    assert_eq!(server.summary().unwrap().early_data, EarlyData::Accepted);
    assert!(server.take_early_data().is_empty());
}

#[test]
fn what_nobody_read_is_kept_apart() {
    let friends = Friends::new();
    let (mut client, mut server) = friends.pair(POLITE);
    client.write_early(b"early").unwrap();
    let (mut out, mut got) = (&b"late"[..], Vec::new());
    let (c, s) = both(|| write_some(&mut client, &mut out), || read_some(&mut server, &mut got, 4));
    c.unwrap();
    s.unwrap();
    assert_eq!(got, b"late");
    assert_eq!(server.take_early_data(), b"early");
}

#[test]
fn no_more_goes_than_the_server_allows() {
    let friends = Friends::new();
    let (mut client, mut server) = friends.pair(POLITE);
    let data = sample(LIMIT + 100);
    assert_eq!(client.write_early(&data).unwrap(), LIMIT);
    assert_eq!(client.write_early(&data[LIMIT..]).unwrap(), 0);
    let mut early = Vec::new();
    let (c, s) = both(|| client.handshake(), || read_early(&mut server, &mut early));
    c.unwrap();
    s.unwrap();
    assert!(early == data[..LIMIT]);
}

#[test]
fn without_a_session_nothing_goes_early() {
    let friends = Friends::new();
    drop(friends.sessions.drain());
    let (mut client, mut server) = pair(friends.client.clone(), friends.server.clone(), POLITE);
    assert_eq!(client.write_early(b"early").unwrap(), 0);
    let mut early = Vec::new();
    let (c, s) = both(|| client.handshake(), || read_early(&mut server, &mut early));
    c.unwrap();
    s.unwrap();
    assert!(early.is_empty());
    assert_eq!(server.summary().unwrap().early_data, EarlyData::NotOffered);
    // Without early data, what is written is ordinary.
    server.write_half_rtt(b"hello").unwrap();
    let mut got = [0; 5];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"hello");
}

#[test]
fn what_is_rejected_is_lost_and_nothing_else() {
    let friends = Friends::new();
    // Another server takes the tickets, and no early data.
    let key = friends.client.session_key(&name());
    assert!(friends.sessions.take(&key, UnixTime::now()).is_some());
    friends.meet();
    let cold = Arc::new(MemoryReplay::new(10, UnixTime::now()));
    let server = friends.server.clone().with_early_data(cold, 5_000);
    let (mut client, mut server) = pair(friends.client.clone(), server, POLITE);
    assert_eq!(client.write_early(b"early").unwrap(), 5);
    let (mut out, mut got) = (&b"late"[..], Vec::new());
    let (c, s) = both(|| write_some(&mut client, &mut out), || read_some(&mut server, &mut got, 4));
    c.unwrap();
    s.unwrap();
    assert_eq!(got, b"late");
    assert!(server.take_early_data().is_empty());
    for stream in [&client, &server] {
        let summary = stream.summary().unwrap();
        assert_eq!((summary.resumed, summary.early_data), (true, EarlyData::Rejected));
    }
}
