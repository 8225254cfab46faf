//! Names in a client's certificate: demanded by a policy, and shown to those who authorise.

use sealwire::codepoints::Alert;
use sealwire::pki_types::CertificateDer;
use sealwire::{CertificateName, ClientAuth, Error, Misuse, TrustAnchors, Verifier};

use super::maker::{DIRECTORY, DNS, Draft, EMAIL, IP, OTHER, URI, alt_names, entity, name};
use super::support::{Calls, Kind, Role, configs, pki};
use super::{Authority, anchors, binding, fault};
use CertificateName as N;

/// The chain of a client with these names.
fn client(
    authority: &Authority,
    subject: &str,
    names: &[(u8, &[u8])],
) -> Vec<CertificateDer<'static>> {
    let mut draft = Draft::leaf(&entity(subject), "").with(alt_names(names));
    draft.subject = name(subject);
    authority.chain(draft)
}

#[test]
fn one_of_the_names_has_to_be_there() {
    let authority = Authority::new("root");
    let directory = name("billing");
    let all: &[(u8, &[u8])] = &[
        (DNS, b"Billing.internal"),
        (DNS, b"*.wild.internal"),
        (EMAIL, b"Billing@Corp.example"),
        (URI, b"spiffe://corp/billing"),
        (IP, &[192, 0, 2, 7]),
        (DIRECTORY, &directory),
    ];
    let chain = client(&authority, "somebody", all);
    let asks =
        |names: Vec<N>| Verifier::new(anchors(&[&authority.root])).with_names(names).unwrap();
    let dns = |name: &str| N::Dns(name.to_owned());
    let email = |address: &str| N::Email(address.to_owned());
    let uri = |uri: &str| N::Uri(uri.to_owned());
    for good in [
        dns("billing.INTERNAL"),
        dns("*.wild.internal"),
        email("Billing@corp.EXAMPLE"),
        uri("spiffe://corp/billing"),
        N::Ip([192, 0, 2, 7].into()),
        N::Directory(directory.clone()),
        // RFC 5280 §7.1: case does not matter.
        N::Directory(name("BILLING")),
        N::Directory(name("somebody")),
    ] {
        assert_eq!(fault(&asks(vec![good.clone()]), &chain), "accepted", "{good}");
        assert_eq!(fault(&asks(vec![dns("nobody"), good.clone()]), &chain), "accepted", "{good}");
    }
    for bad in [
        dns("internal"),
        dns("a.billing.internal"),
        // A wildcard in a client's certificate is no other name.
        dns("db.wild.internal"),
        dns("*.internal"),
        // The common name is nothing by itself, and no form stands for another.
        dns("somebody"),
        dns("192.0.2.7"),
        email("billing@corp.example"),
        email("billing.internal@corp.example"),
        uri("spiffe://corp/Billing"),
        uri("spiffe://corp/billing/"),
        uri("spiffe://corp"),
        N::Ip([192, 0, 2, 8].into()),
        N::Directory(name("bill")),
    ] {
        assert_eq!(fault(&asks(vec![bad.clone()]), &chain), "name-mismatch", "{bad}");
    }
    assert_eq!(fault(&asks(vec![]), &chain), "name-mismatch");

    // The names are asked for besides, not instead.
    let nobody = Verifier::new(TrustAnchors::default()).with_names([dns("billing.internal")]);
    assert_eq!(fault(&nobody.unwrap(), &chain), "unknown-issuer");
    // And of a certificate that is known by heart.
    let known = |wanted: &str| asks(vec![dns(wanted)]).with_certificates([chain[0].clone()]);
    assert_eq!(fault(&known("billing.internal"), &chain), "accepted");
    assert_eq!(fault(&known("other.internal"), &chain), "name-mismatch");

    assert_ne!(binding(&asks(vec![dns("a")])), binding(&asks(vec![dns("b")])));
    assert_eq!(binding(&asks(vec![dns("a"), dns("B")])), binding(&asks(vec![dns("b"), dns("a")])));
    assert_ne!(binding(&asks(vec![])), binding(&Verifier::new(anchors(&[&authority.root]))));
}

#[test]
fn names_that_no_certificate_can_have() {
    for bad in [
        N::Dns(String::new()),
        N::Dns("a b".into()),
        N::Dns("a.\0".into()),
        N::Dns("b\u{fc}cher.example".into()),
        N::Dns("*".into()),
        N::Dns("a.*.b".into()),
        N::Email("nobody".into()),
        N::Email("@host".into()),
        N::Email("a@b c".into()),
        N::Uri("no-scheme".into()),
        N::Uri("1http://x".into()),
        N::Uri("http://a b".into()),
        N::Directory(vec![]),
        N::Directory(vec![0x30, 0]),
        N::Directory(vec![0x30, 1]),
    ] {
        let result = Verifier::new(pki().anchors()).with_names([bad.clone()]);
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))), "{bad:?}");
    }
}

#[test]
fn what_is_malformed_is_no_name_and_is_not_mended() {
    let authority = Authority::new("root");
    let chain = client(
        &authority,
        "x",
        &[
            (DNS, b"good.test"),
            (DNS, b"bank.test\0.evil.test"),
            (DNS, b"sp ace.test"),
            (DNS, b"w*.test"),
            (EMAIL, b"nobody"),
            (EMAIL, b"a\0@b.test"),
            (URI, b"not a uri"),
            (URI, b"spiffe://a\x01"),
            (IP, &[1, 2, 3]),
            (OTHER, &[6, 1, 42]),
        ],
    );
    let names = N::all_of(&chain[0]);
    assert_eq!(names, [N::Directory(name("x")), N::Dns("good.test".into())]);
    assert_eq!(names[1].to_string(), "DNS:good.test");
    assert!(names[0].to_string().contains("CN=x"), "{}", names[0]);
    assert!(N::all_of(&CertificateDer::from(vec![0x30, 0])).is_empty());
    // RFC 5280 §4.1.2.6: a subject may be empty, and is no name then.
    assert!(N::all_of(&client(&authority, "", &[(DNS, b"a.test")])[0]).len() == 1);
}

#[test]
fn a_server_authorises_by_name() {
    for (wanted, good) in [("client.test", true), ("other.test", false)] {
        let (client, server) = configs(5);
        let credential = pki().client(Kind::P256).credential(client.provider());
        let verifier = Verifier::new(pki().anchors());
        let verifier = verifier.with_names([N::Dns(wanted.to_owned())]).unwrap();
        let server = server.with_client_auth(ClientAuth::Required(verifier));
        let mut pair = Calls::PLAIN.pair(client.with_credentials(vec![credential]), server);
        if good {
            let pair = pair.connect();
            let names = pair.server.conn.summary().unwrap().peer_names();
            assert!(names.contains(&N::Dns("client.test".into())), "{names:?}");
            let names = pair.client.conn.summary().unwrap().peer_names();
            assert!(names.contains(&N::Dns("server.test".into())), "{names:?}");
        } else {
            pair.pump();
            let alert = pair.server.error.as_ref().unwrap().alert();
            assert_eq!(alert, Some(Alert::certificate_unknown));
            assert_eq!(pair.side(Role::Server).times_connected(), 0);
        }
    }
}
