//! `adapter::io` over a transport in memory that cuts, blocks, interrupts, fails and ends.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod early;
mod narrow;
mod transport;

use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sealwire::adapter::io::Stream;
use sealwire::codepoints::Alert;
use sealwire::crypto::{Provider, ring};
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use sealwire::{
    Answer, Ask, CertificateError, CertificateReason, ClientConfig, Credential, Error, Misuse,
    Question, ServerConfig, TrustAnchors, Verifier,
};

use crate::transport::{End, Manners, POLITE, ends};

/// A CA, and a server's certificate from it.
struct Pki {
    provider: Provider,
    anchors: TrustAnchors,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

const NAME: &str = "server.test";

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self {
            provider: ring::provider(),
            anchors: TrustAnchors::from_certificates([authority.der().clone()]),
            chain: vec![certificate.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    fn client(&self) -> ClientConfig {
        ClientConfig::new(self.provider.clone(), Verifier::new(self.anchors.clone())).unwrap()
    }

    fn server(&self) -> ServerConfig {
        let credential = Credential::new(&self.provider, self.chain.clone(), &self.key).unwrap();
        ServerConfig::new(self.provider.clone(), vec![Arc::new(credential)]).unwrap()
    }
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

fn pair(
    client: ClientConfig,
    server: ServerConfig,
    manners: Manners,
) -> (Stream<End>, Stream<End>) {
    let (ours, theirs) = ends(manners);
    let client = Stream::client(Arc::new(client), name(), ours).unwrap();
    (client, Stream::server(Arc::new(server), theirs))
}

/// `None` if the call has to be made again.
fn ready<V>(result: io::Result<V>) -> Option<io::Result<V>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        other => Some(other),
    }
}

/// Calls both in turn until both are done.
fn both<A, B>(
    mut first: impl FnMut() -> io::Result<A>,
    mut second: impl FnMut() -> io::Result<B>,
) -> (io::Result<A>, io::Result<B>) {
    let (mut a, mut b) = (None, None);
    for _ in 0..10_000_000 {
        a = a.or_else(|| ready(first()));
        b = b.or_else(|| ready(second()));
        match (a, b) {
            (Some(a), Some(b)) => return (a, b),
            unfinished => (a, b) = unfinished,
        }
    }
    panic!("stuck: first {}, second {}", a.is_some(), b.is_some());
}

fn connected(manners: Manners) -> (Stream<End>, Stream<End>) {
    let pki = Pki::new();
    let (mut client, mut server) = pair(pki.client(), pki.server(), manners);
    let (c, s) = both(|| client.handshake(), || server.handshake());
    c.unwrap();
    s.unwrap();
    (client, server)
}

/// Writes what is left of `data`; done when all is flushed.
fn write_some(stream: &mut Stream<End>, data: &mut &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        let written = stream.write(data)?;
        *data = &data[written..];
    }
    stream.flush()
}

/// Reads on until there are `length` bytes.
fn read_some(stream: &mut Stream<End>, into: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let mut buffer = [0; 1000];
    while into.len() < length {
        let wanted = buffer.len().min(length - into.len());
        match stream.read(&mut buffer[..wanted])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => into.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(())
}

/// The library's error in an `io::Error`.
fn inside(error: &io::Error) -> &Error {
    error.get_ref().expect("an inner error").downcast_ref().expect("the library's")
}

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * i + i / 251) % 256).unwrap()).collect()
}

#[test]
fn data_arrives_whole_and_once_over_every_transport() {
    let data = sample(200_000);
    for chunk in [1, 7, 1_000, usize::MAX] {
        for capacity in [300, 20_000, usize::MAX] {
            for hiccup in [0, 2, 5] {
                let manners = Manners { chunk, capacity, hiccup };
                let length = if chunk < 1_000 { 40_000 } else { data.len() };
                let data = &data[..length];
                let pki = Pki::new();
                let (mut client, mut server) = pair(pki.client(), pki.server(), manners);
                // No explicit handshake: the first write and the first read do it.
                let (mut out, mut got) = (data, Vec::new());
                let (sent, received) = both(
                    || write_some(&mut client, &mut out),
                    || read_some(&mut server, &mut got, length),
                );
                sent.unwrap();
                received.unwrap();
                assert!(got == data, "{manners:?}");

                let (mut out, mut got) = (data, Vec::new());
                let (sent, received) = both(
                    || write_some(&mut server, &mut out),
                    || read_some(&mut client, &mut got, length),
                );
                sent.unwrap();
                received.unwrap();
                assert!(got == data, "{manners:?}");
                // Handshake, data, 22 bytes a record and nothing twice.
                let written = server.get_ref().output.borrow().total;
                assert!(written < length + 22 * (length / 16_384 + 4) + 4_000, "{written}");
            }
        }
    }
}

#[test]
fn both_directions_at_once_through_a_narrow_transport() {
    let manners = Manners { chunk: 500, capacity: 700, hiccup: 3 };
    let (mut client, mut server) = connected(manners);
    let (up, down) = (sample(300_000), sample(250_000));
    let (mut up_left, mut down_left) = (&up[..], &down[..]);
    let (mut up_got, mut down_got) = (Vec::new(), Vec::new());
    // Each side does both in turn: a full output must not keep it from reading.
    let both_ways = |stream: &mut Stream<End>, out: &mut &[u8], got: &mut Vec<u8>, length| {
        let written = ready(write_some(stream, out)).transpose()?;
        let read = ready(read_some(stream, got, length)).transpose()?;
        written.and(read).ok_or(ErrorKind::WouldBlock.into())
    };
    let (c, s) = both(
        || both_ways(&mut client, &mut up_left, &mut down_got, down.len()),
        || both_ways(&mut server, &mut down_left, &mut up_got, up.len()),
    );
    c.unwrap();
    s.unwrap();
    assert!(up_got == up && down_got == down);
}

#[test]
fn the_summary_is_there_once_connected() {
    let pki = Pki::new();
    let (mut client, mut server) = pair(pki.client(), pki.server(), POLITE);
    assert!(client.summary().is_none() && server.summary().is_none());
    let (c, s) = both(|| client.handshake(), || server.handshake());
    c.and(s).unwrap();
    let (c, s) = (client.summary().unwrap(), server.summary().unwrap());
    assert_eq!(c.suite, s.suite);
    assert_eq!(c.peer_chain, pki.chain);
    assert_eq!(s.server_name, Some(name()));
    assert!(client.connection().is_connected());
}

#[test]
fn a_clean_close_is_an_end_and_the_other_direction_goes_on() {
    let (mut client, mut server) = connected(Manners { chunk: 3, capacity: 10, hiccup: 2 });
    let mut buffer = [0; 10];
    let (closed, read) = both(|| client.shutdown_write(), || server.read(&mut buffer));
    closed.unwrap();
    assert_eq!(read.unwrap(), 0);
    assert_eq!(server.read(&mut buffer).unwrap(), 0, "it stays closed");

    let error = client.write(b"too late").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert!(matches!(inside(&error), Error::Misuse(Misuse::Closed)));

    // RFC 9846 §6.1: our side being closed says nothing of the peer's.
    let (mut out, mut got) = (&b"the answer"[..], Vec::new());
    let (sent, received) =
        both(|| write_some(&mut server, &mut out), || read_some(&mut client, &mut got, 10));
    sent.and(received).unwrap();
    assert_eq!(got, b"the answer");
    let (closed, read) = both(|| server.shutdown_write(), || client.read(&mut buffer));
    closed.unwrap();
    assert_eq!(read.unwrap(), 0);
    // Idempotent: nothing more goes out.
    let before = client.get_ref().output.borrow().total;
    client.shutdown_write().unwrap();
    assert_eq!(client.get_ref().output.borrow().total, before);
}

#[test]
fn an_end_without_close_notify_is_a_truncation() {
    for cut in [0, 1, 5, 17] {
        let (mut client, mut server) = connected(POLITE);
        client.write_all(b"all of it?").unwrap();
        client.flush().unwrap();
        let pipe = Rc::clone(&server.get_ref().input);
        if cut > 0 {
            // Part of a record more, and then nothing.
            client.write_all(b"cut off").unwrap();
            let mut pipe = pipe.borrow_mut();
            let keep = pipe.bytes.len() - cut;
            pipe.bytes.truncate(keep);
        }
        pipe.borrow_mut().ended = true;

        let mut buffer = [0; 100];
        assert_eq!(server.read(&mut buffer).unwrap(), 10, "what came whole is delivered");
        for _ in 0..2 {
            let error = server.read(&mut buffer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{cut}");
            assert!(matches!(inside(&error), Error::Truncated), "{error}");
        }
    }
}

#[test]
fn an_end_during_the_handshake_is_told_too() {
    let pki = Pki::new();
    let (mut client, _server) = pair(pki.client(), pki.server(), POLITE);
    client.get_ref().input.borrow_mut().ended = true;
    let error = client.handshake().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_changed_byte_ends_the_connection_and_the_peer_is_told() {
    let (mut client, mut server) = connected(POLITE);
    client.write_all(b"hello").unwrap();
    *server.get_ref().input.borrow_mut().bytes.back_mut().unwrap() ^= 1;
    let mut buffer = [0; 100];
    for _ in 0..2 {
        let error = server.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(matches!(inside(&error), Error::BadRecordMac));
    }
    let error = server.write(b"x").unwrap_err();
    assert!(matches!(inside(&error), Error::BadRecordMac), "it stays failed");
    let error = server.flush().unwrap_err();
    assert!(matches!(inside(&error), Error::BadRecordMac));

    let error = client.read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert!(matches!(inside(&error), Error::PeerAlert(Alert::bad_record_mac)));
}

#[test]
fn the_alert_goes_out_later_if_the_transport_is_full() {
    let (mut client, mut server) = connected(POLITE);
    client.write_all(b"hello").unwrap();
    *server.get_ref().input.borrow_mut().bytes.back_mut().unwrap() ^= 1;
    server.get_mut().manners.capacity = 0;
    let mut buffer = [0; 100];
    assert_eq!(server.read(&mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(client.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    server.get_mut().manners.capacity = usize::MAX;
    assert_eq!(server.read(&mut buffer).unwrap_err().kind(), ErrorKind::InvalidData);
    let error = client.read(&mut buffer).unwrap_err();
    assert!(matches!(inside(&error), Error::PeerAlert(Alert::bad_record_mac)));
}

#[test]
fn an_untrusted_server_is_refused_and_told() {
    let (one, other) = (Pki::new(), Pki::new());
    let (mut client, mut server) = pair(other.client(), one.server(), POLITE);
    let mut buffer = [0; 10];
    let (c, s) = both(|| client.handshake(), || server.read(&mut buffer));
    let (c, s) = (c.unwrap_err(), s.unwrap_err());
    assert!(matches!(inside(&c), Error::Certificate(_)), "{c}");
    assert!(matches!(inside(&s), Error::PeerAlert(_)), "{s}");
}

#[test]
fn a_failed_write_is_reported_later_and_nothing_is_sent_twice() {
    let (mut client, mut server) = connected(POLITE);
    client.get_mut().fail_write = Some(ErrorKind::Other);
    // Sealed, so taken; a caller that repeated it would send it twice.
    assert_eq!(client.write(b"once").unwrap(), 4);
    client.get_mut().fail_write = Some(ErrorKind::Other);
    assert_eq!(client.flush().unwrap_err().kind(), ErrorKind::Other);
    client.flush().unwrap();
    client.shutdown_write().unwrap();
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"once");
}

#[test]
fn decrypted_bytes_can_be_read_where_they_lie() {
    let (mut client, mut server) = connected(POLITE);
    client.write_all(b"two\nlines\n").unwrap();
    client.shutdown_write().unwrap();
    let mut line = String::new();
    server.read_line(&mut line).unwrap();
    assert_eq!(line, "two\n");
    assert_eq!(server.fill_buf().unwrap(), b"lines\n");
    server.consume(usize::MAX);
    assert!(server.fill_buf().unwrap().is_empty());
}

#[test]
fn keys_are_updated_in_between() {
    let (mut client, mut server) = connected(Manners { chunk: 11, capacity: 50, hiccup: 3 });
    for round in 0..5_u8 {
        client.update_keys(true).unwrap();
        let text = [round; 3];
        let (mut out, mut got) = (&text[..], Vec::new());
        let (sent, received) =
            both(|| write_some(&mut client, &mut out), || read_some(&mut server, &mut got, 3));
        sent.and(received).unwrap();
        assert_eq!(got, text);
        let (mut out, mut got) = (&text[..], Vec::new());
        let (sent, received) =
            both(|| write_some(&mut server, &mut out), || read_some(&mut client, &mut got, 3));
        sent.and(received).unwrap();
        assert_eq!(got, text);
    }
}

#[test]
fn a_verdict_can_be_asked_of_the_caller() {
    for accept in [true, false] {
        let pki = Pki::new();
        let ask = Ask { verdict: true, ..Ask::default() };
        let (mut client, mut server) = pair(pki.client().with_ask(ask), pki.server(), POLITE);
        let mut asked = 0;
        let mut judge = |question: &Question| {
            asked += 1;
            let Question::Verdict(peer) = question else { panic!("{question:?}") };
            assert_eq!(peer.chain, pki.chain);
            let refused = || CertificateError::new(CertificateReason::Refused);
            if accept { Answer::Accept } else { Answer::Reject(refused()) }
        };
        let (c, _) = both(|| client.handshake_with(&mut judge), || server.handshake());
        assert_eq!(asked, 1);
        match c {
            Ok(()) => assert!(accept),
            Err(error) => {
                assert!(!accept && matches!(inside(&error), Error::Certificate(_)), "{error}");
            }
        }
    }
}

#[test]
fn a_signature_can_come_from_elsewhere() {
    let pki = Pki::new();
    let signer = (pki.provider.load_key)(&pki.key).unwrap();
    let credential = Credential::external(pki.chain.clone(), signer.schemes()).unwrap();
    let server = ServerConfig::new(pki.provider.clone(), vec![Arc::new(credential)]).unwrap();
    let (mut client, mut server) = pair(pki.client(), server, POLITE);
    let rng = pki.provider.rng.as_ref();
    let mut wrong = true;
    let mut sign = |question: &Question| {
        let Question::Signature(request) = question else { panic!("{question:?}") };
        if std::mem::take(&mut wrong) {
            return Answer::Accept; // An answer to another question: it is asked again.
        }
        let signature = signer.sign(request.scheme, &request.message, rng);
        signature.map_or(Answer::Refuse(Alert::internal_error), Answer::Signature)
    };
    let mut refused = 0;
    let (c, s) = both(
        || client.handshake(),
        || match server.handshake_with(&mut sign) {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                refused += 1;
                Err(ErrorKind::WouldBlock.into())
            }
            other => other,
        },
    );
    c.unwrap();
    s.unwrap();
    assert_eq!(refused, 1);
}

#[test]
fn debug_shows_no_data() {
    let pki = Pki::new();
    let stream = Stream::server(Arc::new(pki.server()), io::Cursor::new(Vec::new()));
    let text = format!("{stream:?}");
    assert!(text.starts_with("Stream {") && text.len() < 200, "{text}");
}
