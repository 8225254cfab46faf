//! The strict profile, rule by rule: a chain that breaks one alone is accepted by default, and refused by that rule.
//!
//! | rule of `src/verify/strict.rs` | test here | also in x509-limbo |
//! |---|---|---|
//! | a criticality that says FALSE (X.690 §11.5) | `a_value_has_one_encoding` | |
//! | basicConstraints that say FALSE (X.690 §11.5) | `a_value_has_one_encoding` | |
//! | zero bits at the end of keyUsage (X.690 §11.2.2) | `a_value_has_one_encoding` | |
//! | UTCTime through 2049 (RFC 5280 §4.1.2.5) | `times_are_utc_through_2049` | |
//! | unique identifiers (RFC 5280 §4.1.2.8) | `unique_identifiers` | |
//! | RSA moduli and exponents (BR 6.1.5, 6.1.6) | `rsa_keys` | `forbidden-rsa-not-divisible-by-8-…` |
//! | keys of other kinds (BR 6.1.5) | `kinds_of_keys` | |
//! | serial numbers (RFC 5280 §4.1.2.2) | `serial_numbers` | `serial::…` |
//! | authorityKeyIdentifier (RFC 5280 §4.2.1.1, BR 7.1.2.11.1) | `authority_key_identifiers` | `aki::…` |
//! | version 3 (BR 7.1.1) | `roots_are_of_version_3` | |
//! | basicConstraints are critical (RFC 5280 §4.2.1.9) | `issuers_are_marked_as_such` | `root-non-critical-basic-constraints` |
//! | subjectKeyIdentifier (RFC 5280 §4.2.1.2) | `issuers_are_marked_as_such` | `ski::…` |
//! | inhibitAnyPolicy is critical (RFC 5280 §4.2.1.14) | `issuers_are_marked_as_such` | |
//! | no leading period in DNS constraints (RFC 5280 §4.2.1.10) | `constraints_have_no_leading_period` | `nc::invalid-dnsname-leading-period` |
//! | a root's EKU and key identifiers (BR 7.1.2.1) | `roots` | `eku::root-has-eku`, `aki::root-with-aki-…` |
//! | a leaf is no CA, nor signs certificates (BR 7.1.2.7.8, RFC 5280 §4.2.1.9) | `leaves_are_not_cas` | `leaf-ku-keycertsign` |
//! | extendedKeyUsage of a leaf (BR 7.1.2.7.6, 7.1.2.7.10) | `purposes_of_leaves` | `eku::ee-…` |
//! | subjectAltName, and when it is critical (RFC 5280 §4.2.1.6) | `leaves_have_names` | `san::…` |
//! | what is in it (RFC 5280 §4.2.1.6, BR 3.2.2.6) | `names_are_well_formed` | `san::underscore-dns` |
//! | common names (BR 7.1.4.3) | `common_names_are_copies` | `cn::…` |

use sealwire::Profile;

use super::*;

/// The certificates of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Root,
    Intermediate,
    Leaf,
}
use Of::{Intermediate, Leaf, Root};

const EVERY: [Of; 3] = [Root, Intermediate, Leaf];
const ISSUERS: [Of; 2] = [Root, Intermediate];
const SUBORDINATES: [Of; 2] = [Intermediate, Leaf];

/// The verdict on a chain that keeps every rule, but for what `bend` does to one certificate. Its names are not asked for.
fn bent(profile: Profile, of: Of, bend: impl Fn(Draft) -> Draft) -> Result<(), CertificateReason> {
    let pki = Pki::new();
    let draft = |this: Of, good: Draft| {
        let good = Draft { not_before: "200101000000Z", not_after: "400101000000Z", ..good };
        if this == of { bend(good) } else { good }
    };
    let root = draft(Root, Draft::ca(&pki.root).with(key_id(b"root")));
    let ica = Draft::ca(&pki.ica).with(key_id(b"ica")).with(authority(b"root"));
    let ica = draft(Intermediate, ica);
    let leaf = draft(Leaf, pki.leaf_draft().with(authority(b"ica")));
    let chain = [leaf.sign(&pki.ica), ica.sign(&pki.root)];
    under(profile, root.sign(&pki.root), &chain)
}

fn under(profile: Profile, root: Der, chain: &[Der]) -> Result<(), CertificateReason> {
    let verifier = Verifier::new(TrustAnchors::from_certificates([root])).with_profile(profile);
    verify(&verifier, chain, Purpose::Server, None, NOW).map(drop).map_err(|e| e.reason)
}

/// `rule` has words of the rule that is to be broken.
#[track_caller]
fn breaks(rule: &str, of: Of, bend: impl Fn(Draft) -> Draft) {
    bent(Profile::Default, of, &bend).unwrap();
    let reason = bent(Profile::Strict, of, &bend).expect_err("accepted");
    let CertificateReason::Profile { rule: broken, .. } = reason else { panic!("{reason}") };
    assert!(broken.contains(rule), "{broken}");
    refused(Err(reason), "profile", Alert::certificate_unknown);
}

#[track_caller]
fn keeps(of: Of, bend: impl Fn(Draft) -> Draft) {
    bent(Profile::Default, of, &bend).unwrap();
    bent(Profile::Strict, of, &bend).unwrap();
}

fn key_id(id: &[u8]) -> Vec<u8> {
    extension(SUBJECT_KEY_ID, false, &tlv(4, id))
}

fn authority(id: &[u8]) -> Vec<u8> {
    extension(AUTHORITY_KEY_ID, false, &tlv(0x30, &tlv(0x80, id)))
}

#[test]
fn an_unbroken_chain() {
    for of in EVERY {
        keeps(of, |draft| draft);
    }
}

#[test]
fn a_value_has_one_encoding() {
    let says_false = || tlv(0x30, &[UNKNOWN, &[1, 1, 0], &tlv(4, &[5, 0])].concat());
    for of in EVERY {
        keeps(of, |draft| draft.with(extension(UNKNOWN, false, &[5, 0])));
        breaks("are DER", of, |draft| draft.with(says_false()));
    }
    let not_a_ca = |fields: &[u8]| extension(BASIC_CONSTRAINTS, true, &tlv(0x30, fields));
    keeps(Leaf, |draft| draft.with(not_a_ca(&[])));
    breaks("do not say FALSE", Leaf, |draft| draft.with(not_a_ca(&[1, 1, 0])));

    let usage = |bits: &[u8]| extension(KEY_USAGE, true, &tlv(3, bits));
    keeps(Intermediate, |draft| draft.with(usage(&[1, 0x06])));
    breaks("a bit that is set", Intermediate, |draft| draft.with(usage(&[0, 0x06])));
    // As in two roots that everybody trusts.
    keeps(Root, |draft| draft.with(usage(&[7, 0x06, 0])));
    // With decipherOnly, the ninth.
    keeps(Leaf, |draft| draft.with(usage(&[7, 0x80, 0x80])));
    for loose in [&[0, 0x80][..], &[6, 0x80], &[7, 0x80, 0], &[6, 0x80, 0x80]] {
        breaks("a bit that is set", Leaf, |draft| draft.with(usage(loose)));
    }
}

#[test]
fn times_are_utc_through_2049() {
    for of in EVERY {
        breaks("UTCTime", of, |draft| Draft { not_before: "20200101000000Z", ..draft });
        breaks("UTCTime", of, |draft| Draft { not_after: "20491231235959Z", ..draft });
        keeps(of, |draft| Draft { not_after: "491231235959Z", ..draft });
        keeps(of, |draft| Draft { not_after: "20500101000000Z", ..draft });
    }
}

/// They come after the key.
#[test]
fn unique_identifiers() {
    for of in EVERY {
        for tag in [0x81, 0x82] {
            let id = tlv(tag, &[0, 1]);
            breaks("unique identifiers", of, |draft| Draft {
                spki: [&draft.spki[..], &id].concat(),
                ..draft
            });
        }
    }
}

/// Of a leaf, since nobody has the private key.
#[test]
fn rsa_keys() {
    let modulus = |top: &[u8]| [top, &[1; 255]].concat();
    let with = |top: &[u8], exponent: &[u8]| {
        let spki = rsa_key(&modulus(top), exponent);
        move |draft| Draft { spki: spki.clone(), ..draft }
    };
    keeps(Leaf, with(&[0, 0x80], &[1, 0, 1]));
    keeps(Leaf, with(&[0, 0x80], &[3]));
    breaks("multiple of 8", Leaf, with(&[1, 0], &[1, 0, 1]));
    breaks("multiple of 8", Leaf, with(&[0x7f, 0xff], &[1, 0, 1]));
    for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[0x81], &[0xff, 0x01]] {
        breaks("odd and at least 3", Leaf, with(&[0, 0x80], exponent));
    }
}

#[test]
fn kinds_of_keys() {
    let spki = |kind| {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        rcgen::PublicKeyData::subject_public_key_info(&key)
    };
    let (p384, ed25519) = (spki(&rcgen::PKCS_ECDSA_P384_SHA384), spki(&rcgen::PKCS_ED25519));
    keeps(Leaf, |draft| Draft { spki: p384.clone(), ..draft });
    breaks("keys are RSA or on", Leaf, |draft| Draft { spki: ed25519.clone(), ..draft });
}

#[test]
fn serial_numbers() {
    let (longest, longer) = ([0x7f; 20], [1; 21]);
    for of in SUBORDINATES {
        keeps(of, |draft| Draft { serial: longest.to_vec(), ..draft });
        breaks("20 octets", of, |draft| Draft { serial: longer.to_vec(), ..draft });
        for serial in [0, 0x80, 0xff] {
            breaks("positive", of, |draft| Draft { serial: vec![serial], ..draft });
        }
    }
    for serial in [&[0][..], &[0x80], &longer] {
        keeps(Root, |draft| Draft { serial: serial.to_vec(), ..draft });
    }
}

#[test]
fn authority_key_identifiers() {
    let issuer = tlv(0xa1, &tlv(DIRECTORY, &name("Root")));
    let (id, serial) = (tlv(0x80, b"root"), tlv(0x82, &[1]));
    let with = |fields: &[u8]| extension(AUTHORITY_KEY_ID, false, &tlv(0x30, fields));
    let others = [&issuer[..], &serial].concat();
    for of in SUBORDINATES {
        breaks("there is an authority", of, |draft| draft.without(AUTHORITY_KEY_ID));
    }
    keeps(Root, |draft| draft.without(AUTHORITY_KEY_ID));
    for of in EVERY {
        for fields in [vec![], others.clone(), [&id[..], &others].concat()] {
            breaks("keyIdentifier alone", of, |draft| draft.with(with(&fields)));
        }
    }
    // RFC 5280 §4.2.1.1: whoever signs its own certificate may leave it out.
    let server = entity("server");
    let own = Draft {
        not_before: "200101000000Z",
        not_after: "400101000000Z",
        ..Draft::leaf(&server, "a.example")
    };
    let own = own.sign(&server);
    for profile in [Profile::Default, Profile::Strict] {
        under(profile, own.clone(), std::slice::from_ref(&own)).unwrap();
    }
}

/// Of intermediates, everybody asks it.
#[test]
fn roots_are_of_version_3() {
    for version in [0, 1] {
        breaks("version 3", Root, |draft| Draft { version, extensions: vec![], ..draft });
    }
}

#[test]
fn issuers_are_marked_as_such() {
    let inhibit = |critical| extension(&[6, 3, 0x55, 0x1d, 54], critical, &tlv(2, &[0]));
    for of in ISSUERS {
        let ca = extension(BASIC_CONSTRAINTS, false, &tlv(0x30, &[1, 1, 0xff]));
        breaks("basicConstraints are critical", of, |draft| draft.with(ca.clone()));
        breaks("a CA has a subjectKeyIdentifier", of, |draft| draft.without(SUBJECT_KEY_ID));
        keeps(of, |draft| draft.with(inhibit(true)));
        breaks("inhibitAnyPolicy is critical", of, |draft| draft.with(inhibit(false)));
    }
}

#[test]
fn constraints_have_no_leading_period() {
    for of in ISSUERS {
        keeps(of, |draft| draft.with(constraints(&[], &[(DNS, b"a.test")])));
        keeps(of, |draft| draft.with(constraints(&[], &[(URI, b".a.test")])));
        let odd: [(u8, &[u8]); 2] = [(DNS, b"b.test"), (DNS, b".a.test")];
        breaks("leading period", of, |draft| draft.with(constraints(&[], &odd)));
        let permitted: [(u8, &[u8]); 2] = [(DNS, b"example.com"), (DNS, b".a.test")];
        breaks("leading period", of, |draft| draft.with(constraints(&permitted, &[])));
    }
}

#[test]
fn roots() {
    keeps(Root, |draft| draft.with(authority(b"root")));
    breaks("key identifiers are the same", Root, |draft| draft.with(authority(b"another")));
    breaks("no EKU", Root, |draft| draft.with(purposes(&[SERVER_AUTH])));
    // An anchor that another has signed is no root.
    let cross = |draft| Draft { issuer: Some(name("Another")), ..draft };
    keeps(Root, |draft| cross(draft.with(authority(b"another"))));
    keeps(Root, |draft| cross(draft.with(purposes(&[SERVER_AUTH]))));
}

#[test]
fn leaves_are_not_cas() {
    breaks("no CA's", Leaf, |draft| draft.with(basic(true, None)));
    let both = usage(DIGITAL_SIGNATURE | KEY_CERT_SIGN);
    breaks("keyCertSign", Leaf, |draft| draft.with(both.clone()));
}

#[test]
fn purposes_of_leaves() {
    let critical = extension(EXTENDED_KEY_USAGE, true, &tlv(0x30, SERVER_AUTH));
    breaks("there is an extendedKeyUsage", Leaf, |draft| draft.without(EXTENDED_KEY_USAGE));
    breaks("not any", Leaf, |draft| draft.with(purposes(&[SERVER_AUTH, ANY_PURPOSE])));
    breaks("extendedKeyUsage is not critical", Leaf, |draft| draft.with(critical.clone()));
}

#[test]
fn leaves_have_names() {
    const RULE: &str = "critical if the subject is empty";
    let names = tlv(0x30, &tlv(DNS, b"example.com"));
    let critical = extension(SUBJECT_ALT_NAME, true, &names);
    let nameless = |draft| Draft { subject: name(""), ..draft };
    breaks(RULE, Leaf, |draft| draft.without(SUBJECT_ALT_NAME));
    breaks(RULE, Leaf, |draft| draft.with(critical.clone()));
    breaks(RULE, Leaf, nameless);
    keeps(Leaf, |draft| nameless(draft.with(critical.clone())));
}

#[test]
fn names_are_well_formed() {
    let with = |kind, name: &[u8]| {
        let names = alt_names(&[(DNS, b"example.com"), (kind, name)]);
        move |draft: Draft| draft.with(names.clone())
    };
    for good in [&b"xn--bcher-kva.example"[..], b"*.example.com", b"a-b.1.EXAMPLE", b"localhost"] {
        keeps(Leaf, with(DNS, good));
    }
    let bad: [&[u8]; 8] = [
        b"a_b.example",
        b"-a.example",
        b"a-.example",
        b"a b.example",
        b"example.com.",
        b"",
        b"a.*.example",
        b"*.*.a.example",
    ];
    for bad in bad {
        breaks("letters, digits and hyphens", Leaf, with(DNS, bad));
    }
    breaks("two labels follow", Leaf, with(DNS, b"*.example"));
    for length in [4, 16] {
        keeps(Leaf, with(IP, &vec![1; length]));
    }
    for length in [0, 3, 8, 32] {
        breaks("4 or 16 octets", Leaf, with(IP, &vec![1; length]));
    }
}

#[test]
fn common_names_are_copies() {
    const V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let with = |subject: Vec<u8>| {
        let names = alt_names(&[(DNS, b"example.com"), (IP, &[192, 0, 2, 1]), (IP, &V6)]);
        move |draft: Draft| Draft { subject: subject.clone(), ..draft.with(names.clone()) }
    };
    let good = ["example.com", "A server", "Of Bücher.example", "192.0.2.1", "2001:db8::1"];
    for good in good.iter().chain(&["other.example"]) {
        keeps(Leaf, with(name(good)));
    }
    let bad = [
        "Example.com",
        "192.0.2.2",
        "192.0.2.01",
        "0xc0000201",
        "0xc0.0.2.1",
        "2001:DB8::1",
        "2001:db8:0::1",
        "2001:db8::2",
        "xn--bcher-kva.example",
        "bücher.example",
    ];
    for bad in bad {
        breaks("a copy of an entry", Leaf, with(name(bad)));
    }
    // In Latin-1.
    let pair = [tlv(6, &[0x55, 4, 3]), tlv(20, b"caf\xe9")].concat();
    breaks("a copy of an entry", Leaf, with(tlv(0x30, &tlv(0x31, &tlv(0x30, &pair)))));
}
