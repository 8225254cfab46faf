//! Our reading of a ClientHello against that of rustls. Where they differ, a rule here must say why; what both read must
//! say the same.

use std::sync::Arc;

use rustls::server::Acceptor;
use sealwire::{ClientHelloView, Connection, Error, Violation};

use super::hello::records;
use super::script::message;
use super::world::{End, Options, server};

/// The body of a ClientHello.
pub fn rustls(body: &[u8]) {
    let hello = message(1, body);
    let ours = ClientHelloView::from_bytes(&hello);
    let theirs = accept(&hello);
    match (&ours, &theirs) {
        (Ok(view), Ok(accepted)) => compare(view, &accepted.client_hello()),
        (Ok(view), Err(error)) => we_took_it(view, error),
        (Err(error), Ok(_)) => they_took_it(body, error),
        (Err(_), Err(_)) => {}
    }
}

fn accept(hello: &[u8]) -> Result<rustls::server::Accepted, rustls::Error> {
    let mut acceptor = Acceptor::default();
    let wire = records(hello, 0);
    let mut rest = &wire[..];
    while !rest.is_empty() {
        if acceptor.read_tls(&mut rest).unwrap() == 0 {
            break;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok(accepted),
            Err((error, _)) => return Err(error),
        }
    }
    panic!("rustls waits for more than a whole message");
}

/// What both have read.
fn compare(ours: &ClientHelloView, theirs: &rustls::server::ClientHello<'_>) {
    let name = ours.dns_name().map(|name| name.to_str().to_ascii_lowercase());
    assert_eq!(name.as_deref(), theirs.server_name());
    let alpn: Vec<Vec<u8>> = theirs.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    assert_eq!(ours.alpn(), alpn);
    let suites: Vec<u16> = theirs.cipher_suites().iter().map(|suite| u16::from(*suite)).collect();
    assert_eq!(ours.suites().iter().map(|suite| suite.0).collect::<Vec<_>>(), suites);
    let schemes: Vec<u16> = theirs.signature_schemes().iter().map(|s| u16::from(*s)).collect();
    assert_eq!(ours.schemes().iter().map(|scheme| scheme.0).collect::<Vec<_>>(), schemes);
    let groups = theirs.named_groups().unwrap_or_default();
    let groups: Vec<u16> = groups.iter().map(|group| u16::from(*group)).collect();
    assert_eq!(ours.groups().iter().map(|group| group.0).collect::<Vec<_>>(), groups);
}

/// We are stricter only in these ways.
fn they_took_it(body: &[u8], error: &Error) {
    let fine = match error {
        // RFC 9846 §4.3: rustls does not know the extension, and so not that it is misplaced.
        Error::Violation(Violation::MisplacedExtension) => true,
        // RFC 7250 §4.1: rustls lets a client say what everybody assumes.
        Error::Violation(Violation::OnlyDefaultCertificateType) => true,
        // rustls counts binders when it resumes.
        Error::Violation(Violation::BinderCount) => true,
        // RFC 9846 §4.3.11: 32 bytes at least; rustls compares them when it resumes.
        Error::Decode("pre_shared_key.binders") => true,
        // rustls does not read these at all.
        Error::Decode(
            "signature_algorithms_cert" | "signed_certificate_timestamp" | "post_handshake_auth",
        ) => true,
        // RFC 6066 §3: rustls ignores everything behind a name of unknown type.
        Error::Decode("server_name") | Error::Violation(Violation::BadServerName) => {
            extension(body, 0).is_some_and(has_other_names)
        }
        _ => false,
    };
    assert!(fine, "rustls takes it, and we say: {error}");
}

/// Whether a server_name extension lists a name that is no host name.
fn has_other_names(extension: &[u8]) -> bool {
    let mut rest = extension.get(2..).unwrap_or_default();
    while let [kind, tail @ ..] = rest {
        if *kind != 0 {
            return true;
        }
        let len = tail.first_chunk().map_or(0, |len| usize::from(u16::from_be_bytes(*len)));
        rest = tail.get(2 + len..).unwrap_or_default();
    }
    false
}

/// Extensions that rustls reads and we do not (or not as deeply): ec_point_formats, extended_main_secret, compress_certificate, session_ticket, quic_transport_parameters in two
/// versions, renegotiation_info, ECH in two; and of status_request the responders, which are DER.
const THEIRS: &[u16] = &[5, 11, 23, 27, 35, 57, 0xff01, 0xffa5, 0xfe0d, 0xfd00];

/// We are laxer only in these ways.
fn we_took_it(view: &ClientHelloView, error: &rustls::Error) {
    use rustls::{Error as E, InvalidMessage, PeerMisbehaved};
    // What is no matter of parsing is refused by the server.
    let server = Connection::server(Arc::new(server(Options(0))));
    let mut end = End::new(server, Vec::new());
    end.take(&records(view.as_bytes(), 0));
    if end.error.is_some() {
        return;
    }
    let fine = match error {
        // A name that no certificate can have: what to do with it is policy with us (ServerNamePolicy).
        E::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName) => {
            view.dns_name().is_none()
        }
        E::InvalidMessage(InvalidMessage::InvalidServerName) => view.dns_name().is_none(),
        // Without the extensions that it alone reads, rustls takes it too.
        E::InvalidMessage(_) => {
            accept(&without(view.as_bytes(), THEIRS)).is_ok() || is_about_names(view, error)
        }
        _ => false,
    };
    assert!(fine, "we take it, and rustls says: {error:?}");
}

/// Without the extensions that rustls alone reads, it is only about the name.
fn is_about_names(view: &ClientHelloView, _: &rustls::Error) -> bool {
    let mut kinds = THEIRS.to_vec();
    kinds.push(0);
    view.dns_name().is_none() && accept(&without(view.as_bytes(), &kinds)).is_ok()
}

/// Where the block of extensions is in a ClientHello's body, which has one.
fn block(body: &[u8]) -> Option<usize> {
    let suites = 35 + usize::from(*body.get(34)?);
    let len = usize::from(*body.get(suites)?) << 8 | usize::from(*body.get(suites + 1)?);
    let compression = suites + 2 + len;
    Some(compression + 1 + usize::from(*body.get(compression)?) + 2)
}

/// Types and bodies.
fn extensions(body: &[u8]) -> Vec<(u16, &[u8])> {
    let mut rest = block(body).and_then(|at| body.get(at..)).unwrap_or_default();
    let mut all = Vec::new();
    while let [a, b, c, d, tail @ ..] = rest {
        let len = usize::from(*c) << 8 | usize::from(*d);
        let Some((inside, after)) = tail.split_at_checked(len) else { break };
        all.push((u16::from_be_bytes([*a, *b]), inside));
        rest = after;
    }
    all
}

fn extension(body: &[u8], kind: u16) -> Option<&[u8]> {
    extensions(body).into_iter().find(|(known, _)| *known == kind).map(|(_, inside)| inside)
}

/// The message without these extensions.
fn without(hello: &[u8], kinds: &[u16]) -> Vec<u8> {
    let body = &hello[4..];
    let Some(at) = block(body) else { return hello.to_vec() };
    let mut kept = Vec::new();
    for (kind, inside) in extensions(body) {
        if !kinds.contains(&kind) {
            kept.extend_from_slice(&kind.to_be_bytes());
            kept.extend_from_slice(&(inside.len() as u16).to_be_bytes());
            kept.extend_from_slice(inside);
        }
    }
    let len = (kept.len() as u16).to_be_bytes();
    message(1, &[&body[..at - 2], &len, &kept].concat())
}
