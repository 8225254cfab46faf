//! The two hellos, as messages: what parses, and what the other end makes of it.

use sealwire::{ClientHelloView, Connection, Error};
use std::sync::Arc;

use super::peer::{Epoch, Victim};
use super::script::{message, peer};
use super::template::{go_on, template};
use super::world::{End, Options, server};

/// Options, where records are cut, and the body of a ClientHello.
pub fn client_hello(data: &[u8]) {
    let [options, cut, body @ ..] = data else { return };
    let hello = message(1, body);
    let parsed = ClientHelloView::from_bytes(&hello);
    if let Ok(view) = &parsed {
        look_at(view, &hello);
    }
    let mut end = End::new(Connection::server(Arc::new(server(Options(*options)))), Vec::new());
    end.take(&records(&hello, usize::from(*cut)));
    assert!(!end.connected, "connected by a ClientHello alone");
    // The server reads what the view reads.
    let of_parsing = |error: &Error| matches!(error, Error::Decode(_) | Error::Violation(_));
    match (parsed, &end.error) {
        (Err(expected), Some(Error::Limit(_))) => assert!(of_parsing(&expected)),
        (Err(expected), Some(error)) => assert_eq!(error.to_string(), expected.to_string()),
        (Err(expected), None) => panic!("the server took what is wrong: {expected}"),
        (Ok(_), Some(Error::Decode(what))) => panic!("malformed for the server alone: {what}"),
        (Ok(_), _) => {}
    }
}

/// Everything that a view tells.
fn look_at(view: &ClientHelloView, hello: &[u8]) {
    assert_eq!(view.as_bytes(), hello);
    assert_eq!(view.random(), hello[6..38]);
    let extensions = view.extensions();
    let len: usize = extensions.iter().map(|(_, body)| 4 + body.len()).sum();
    assert!(len < hello.len(), "more extensions than bytes");
    assert!(view.suites().len() * 2 < hello.len());
    let has = |kind: u16| extensions.iter().any(|(known, _)| known.0 == kind);
    assert_eq!(!view.versions().is_empty(), has(43));
    assert_eq!(!view.groups().is_empty(), has(10));
    assert_eq!(!view.schemes().is_empty(), has(13));
    assert_eq!(!view.alpn().is_empty(), has(16));
    assert!(view.key_share_groups().is_empty() || has(51));
    assert!(view.server_name().is_none() || has(0));
    assert!(view.dns_name().is_none() || view.server_name().is_some());
    let again = ClientHelloView::from_bytes(view.as_bytes()).unwrap();
    assert_eq!(format!("{again:?}"), format!("{view:?}"));
}

/// The message in records, the first of so many bytes; 0 means that it is not cut.
pub fn records(message: &[u8], cut: usize) -> Vec<u8> {
    let (first, rest) = message.split_at(cut.min(message.len()));
    let record = |part: &[u8]| {
        let len = (part.len() as u16).to_be_bytes();
        [&[22, 3, 1], &len[..], part].concat()
    };
    let parts = first.chunks(1 << 14).chain(rest.chunks(1 << 14));
    parts.flat_map(record).collect()
}

/// Options, whether the session ID is to be echoed, and the body of a ServerHello; what follows is honest.
pub fn server_hello(data: &[u8]) {
    let [options, echo, body @ ..] = data else { return };
    let options = Options(*options);
    let mut peer = peer(Victim::Client, options);
    let mut body = body.to_vec();
    if *echo != 0 && body.len() > 34 {
        // What every ServerHello seen in the wild fails at: it answers somebody else.
        let honest = &template(Victim::Client, options)[0];
        let id = honest[38..39 + usize::from(honest[38])].to_vec();
        let end = (35 + usize::from(body[34])).min(body.len());
        body.splice(34..end, id);
    }
    peer.message(&message(2, &body));
    peer.flush();
    assert!(!peer.end.connected, "connected by a ServerHello alone");
    peer.advance();
    if peer.epoch == Epoch::Handshake {
        assert!(peer.end.error.is_none(), "there are keys after an error");
    }
    go_on(&mut peer, template(Victim::Client, options), 1);
    assert!(!peer.end.connected || peer.finished);
}
