//! Early data through the stream: in both roles, over every transport.

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use sealwire::adapter::io::Stream;
use sealwire::pki_types::UnixTime;
use sealwire::{
    ClientConfig, EarlyData, MemoryReplay, MemorySessions, Misuse, ServerConfig, TicketKeys,
};

use crate::transport::{End, Manners, POLITE};
use crate::{Pki, both, inside, pair, read_some, sample, write_some};

/// Configurations with sessions, after a first connection.
fn acquainted(max_early: u32) -> (ClientConfig, ServerConfig, Arc<MemorySessions>) {
    let pki = Pki::new();
    let sessions = Arc::new(MemorySessions::default());
    let client = pki.client().with_sessions(sessions.clone()).with_early_data(true);
    let start = UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs() - 100));
    let server = pki.server();
    let keys = TicketKeys::new(server.provider(), UnixTime::now()).unwrap();
    let server = server.with_tickets(Arc::new(keys));
    let server = server.with_early_data(Arc::new(MemoryReplay::new(100, start)), max_early);

    let (mut one, mut two) = pair(client.clone(), server.clone(), POLITE);
    let (c, s) = both(|| one.handshake(), || two.handshake());
    c.unwrap();
    s.unwrap();
    two.write_all(b"hello").unwrap();
    read_some(&mut one, &mut Vec::new(), 5).unwrap();
    assert_eq!(sessions.len(), 2);
    (client, server, sessions)
}

const UNPLEASANT: [Manners; 3] = [
    POLITE,
    Manners { chunk: 1, capacity: usize::MAX, hiccup: 0 },
    // Room for a server's flight: the client reads nothing until its early data is out.
    Manners { chunk: 100, capacity: 4000, hiccup: 3 },
];

/// Writes what is left of `data` as early data.
fn write_early(stream: &mut Stream<End>, data: &mut &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let written = stream.write_early(data)?;
        assert!(written > 0);
        *data = &data[written..];
    }
    stream.flush()
}

#[test]
fn early_data_is_read_on_its_own_and_answered_before_the_handshake() {
    let data = sample(10_000);
    for manners in UNPLEASANT {
        let (client, server, _) = acquainted(10_000);
        let (mut client, mut server) = pair(client, server, manners);
        let (mut left, mut early) = (&data[..], Vec::new());
        let (c, s) = both(
            || write_early(&mut client, &mut left),
            || {
                let mut reader = server.early_data();
                while early.len() < data.len() {
                    let piece = reader.fill_buf()?;
                    assert!(!piece.is_empty(), "the early data ended after {} bytes", early.len());
                    let taken = piece.len().min(777);
                    early.extend_from_slice(&piece[..taken]);
                    reader.consume(taken);
                }
                Ok(())
            },
        );
        c.unwrap();
        s.unwrap();
        assert!(early == data);
        // The client has not even read the server's flight.
        assert!(!server.connection().is_connected() && server.summary().is_none());
        assert!(server.connection().early_summary().unwrap().resumed);
        server.write_half_rtt(b"an early answer").unwrap();

        let (mut answer, mut end) = (Vec::new(), [0; 10]);
        let (c, s) =
            both(|| read_some(&mut client, &mut answer, 15), || server.early_data().read(&mut end));
        c.unwrap();
        assert_eq!(s.unwrap(), 0, "the early data has ended");
        assert_eq!(answer, b"an early answer");
        for stream in [&client, &server] {
            assert_eq!(stream.summary().unwrap().early_data, EarlyData::Accepted);
        }
        // What follows is ordinary.
        let (mut left, mut got) = (&b"and on"[..], Vec::new());
        let (c, s) =
            both(|| write_some(&mut client, &mut left), || read_some(&mut server, &mut got, 6));
        c.unwrap();
        s.unwrap();
        assert_eq!(got, b"and on");
        assert!(server.take_early_data().is_empty());
    }
}

#[test]
fn early_data_that_nobody_reads_is_kept_apart() {
    let (client, server, _) = acquainted(100);
    let (mut client, mut server) = pair(client, server, POLITE);
    assert_eq!(client.write_early(&[7; 150]).unwrap(), 100, "the limit");
    assert_eq!(client.write_early(b"more").unwrap(), 0);
    let (mut left, mut got) = (&b"late"[..], Vec::new());
    let (c, s) =
        both(|| write_some(&mut client, &mut left), || read_some(&mut server, &mut got, 4));
    c.unwrap();
    s.unwrap();
    assert_eq!(got, b"late");
    assert_eq!(server.take_early_data(), [7; 100]);
    assert!(server.take_early_data().is_empty());
}

#[test]
fn without_a_session_or_a_store_there_is_none() {
    // A client without a session.
    let pki = Pki::new();
    let (mut client, mut server) = pair(pki.client(), pki.server(), POLITE);
    assert_eq!(client.write_early(b"early").unwrap(), 0);
    let mut end = [0; 10];
    let (c, s) = both(|| client.handshake(), || server.early_data().read(&mut end));
    c.unwrap();
    assert_eq!(s.unwrap(), 0);
    // A half-RTT answer waits for the handshake then, as any write does.
    let (mut client, mut server) = pair(pki.client(), pki.server(), POLITE);
    let mut got = Vec::new();
    let (c, s) = both(|| read_some(&mut client, &mut got, 4), || server.write_half_rtt(b"late"));
    c.unwrap();
    s.unwrap();
    assert!(server.summary().is_some());
    assert_eq!(got, b"late");
}

#[test]
fn rejected_early_data_is_lost_and_said_to_be() {
    let (client, server, _) = acquainted(100);
    // A store that has just begun.
    let server = server.with_early_data(Arc::new(MemoryReplay::new(9, UnixTime::now())), 100);
    let (mut client, mut server) = pair(client, server, POLITE);
    assert_eq!(client.write_early(b"early").unwrap(), 5);
    let mut early = Vec::new();
    let (c, s) = both(|| client.handshake(), || server.early_data().read_to_end(&mut early));
    c.unwrap();
    assert_eq!(s.unwrap(), 0);
    assert!(server.connection().early_summary().is_none());
    for stream in [&client, &server] {
        let summary = stream.summary().unwrap();
        assert_eq!((summary.resumed, summary.early_data), (true, EarlyData::Rejected));
    }
    assert_eq!(client.write_early(b"early").unwrap(), 0, "it is too late for that");
}

#[test]
fn a_transport_that_fails_loses_and_repeats_nothing() {
    let (client, server, _) = acquainted(100);
    let (mut client, mut server) = pair(client, server, POLITE);
    client.get_mut().fail_write = Some(ErrorKind::TimedOut);
    assert_eq!(client.write_early(b"early").unwrap(), 5, "it is sealed");
    client.flush().unwrap();
    let mut early = [0; 10];
    let (_, s) = both(|| Ok(()), || server.early_data().read(&mut early));
    assert_eq!(s.unwrap(), 5);
    server.get_mut().fail_write = Some(ErrorKind::TimedOut);
    server.write_half_rtt(b"answer").unwrap();
    let mut got = Vec::new();
    let (c, s) = both(
        || read_some(&mut client, &mut got, 6),
        || server.early_data().read_to_end(&mut Vec::new()),
    );
    c.unwrap();
    s.unwrap();
    assert_eq!(got, b"answer");
}

#[test]
fn a_client_cannot_answer_early_data() {
    let (client, server, _) = acquainted(100);
    let (mut client, mut server) = pair(client, server, POLITE);
    let (c, s) = both(|| client.write_half_rtt(b"x"), || server.handshake());
    c.unwrap(); // It is an ordinary write on a client.
    s.unwrap();
    let error = server.write_early(b"x");
    assert_eq!(error.unwrap(), 0);
    server.shutdown_write().unwrap();
    let error = server.write_half_rtt(b"x").unwrap_err();
    assert!(matches!(inside(&error), sealwire::Error::Misuse(Misuse::Closed)), "{error}");
}
