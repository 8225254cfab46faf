//! Clients that need not authenticate, and do so badly: who shows a certificate is judged as if it had been demanded
//! (pitfall 43, CVE-2024-45159). To go without is to show none.

use std::cell::Cell;
use std::rc::Rc;

use sealwire::codepoints::Alert;
use sealwire::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sealwire::{Answer, Ask, ClientAuth, Error, Question, Verifier};

use super::maker::{
    CODE_SIGNING, Draft, Entity, SERVER_AUTH, UNKNOWN, entity, extension, purposes,
};
use super::support::{Calls, Identity, Pair, Role, configs};
use super::{Authority, anchors};

/// A server that asks for a certificate of this authority's, and lets clients pass that show none.
fn pair(
    authority: &Authority,
    client: &Entity,
    chain: Vec<CertificateDer<'static>>,
    ask: Ask,
) -> Pair {
    let auth = ClientAuth::Optional(Verifier::new(anchors(&[&authority.root])));
    let (ours, server) = configs(43);
    let server = server.with_client_auth(auth).with_authorities(false).with_ask(ask);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(client.key.serialize_der()));
    let credential = Identity { chain, key }.credential(ours.provider());
    Calls::PLAIN.pair(ours.with_credentials(vec![credential]), server)
}

/// A server of which nobody is authenticated, and to which nothing more can be said.
fn shut(mut pair: Pair, code: &str, alert: Alert) {
    pair.pump();
    let Some(Error::Certificate(error)) = &pair.server.error else {
        panic!("{code}: {:?}", pair.server.error)
    };
    assert_eq!((error.reason.code(), error.alert()), (code, alert));
    assert_eq!(pair.server.times_connected(), 0, "{code}");
    assert!(pair.server.conn.summary().is_none_or(|s| s.peer_chain.is_empty()), "{code}");
    assert_eq!(pair.server.data, b"", "{code}");
    // A client may have thought that it was through; it knows better now.
    assert!(matches!(&pair.client.error, Some(Error::PeerAlert(told)) if *told == alert), "{code}");
}

#[test]
fn pitfall_43_what_does_not_verify_is_refused_even_if_it_is_optional() {
    let (authority, stranger) = (Authority::new("root"), Authority::new("stranger"));
    let client = entity("client");
    let draft = || Draft::leaf(&client, "client.test");
    let chain = |draft: Draft| authority.chain(draft);
    let purpose = |oids: &[&[u8]]| chain(draft().with(purposes(oids)));
    let imitation = Authority::new("root");

    let mut good = pair(&authority, &client, chain(draft()), Ask::default()).connect();
    good.chat();
    assert_eq!(good.server.conn.summary().unwrap().peer_chain.len(), 2);
    for (chain, code, alert) in [
        (purpose(&[SERVER_AUTH]), "extended-key-usage", Alert::unsupported_certificate),
        (purpose(&[CODE_SIGNING]), "extended-key-usage", Alert::unsupported_certificate),
        (stranger.chain(draft()), "unknown-issuer", Alert::unknown_ca),
        (imitation.chain(draft()), "bad-signature", Alert::bad_certificate),
        (vec![draft().sign(&client)], "self-signed", Alert::unknown_ca),
        (vec![draft().sign(&authority.issuer)], "unknown-issuer", Alert::unknown_ca),
        (
            chain(Draft { not_after: "20260920000000Z", ..draft() }),
            "expired",
            Alert::certificate_expired,
        ),
        (
            chain(Draft { not_before: "20260923000000Z", ..draft() }),
            "not-yet-valid",
            Alert::certificate_expired,
        ),
        (
            chain(draft().with(extension(UNKNOWN, true, &[5, 0]))),
            "unknown-critical-extension",
            Alert::unsupported_certificate,
        ),
    ] {
        shut(pair(&authority, &client, chain, Ask::default()), code, alert);
    }
}

/// The same where the application is asked, and leaves the verdict to the configuration.
#[test]
fn pitfall_43_an_application_that_leaves_it_to_the_verifier() {
    let authority = Authority::new("root");
    let client = entity("client");
    let chain = authority.chain(Draft::leaf(&client, "client.test").with(purposes(&[SERVER_AUTH])));
    let ask = Ask { verdict: true, ..Ask::default() };
    let mut pair = pair(&authority, &client, chain, ask);
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    pair.answerer = Box::new(move |role, question| {
        assert!(matches!((role, question), (Role::Server, Question::Verdict(_))), "{question:?}");
        count.set(count.get() + 1);
        Some(Answer::UseConfig)
    });
    shut(pair, "extended-key-usage", Alert::unsupported_certificate);
    assert_eq!(asked.get(), 1);
}
