//! The caller's mistakes: each is refused, sends nothing, and leaves the connection as it was.

use sealwire::codepoints::{Alert, CipherSuiteId, NamedGroup, SignatureScheme};
use sealwire::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};
use sealwire::{
    Answer, Ask, Choice, Connection, CookieKey, Credential, Crls, Error, FixedOutput, Misuse,
    RECORD_HEADER, RECORD_TRAILER, Read,
};

use super::duel::{Duel, Unit, simple};
use super::edit::key_update;
use super::support::Role::{self, Client, Server};
use super::support::{Kind, now, pki, seeded};

pub(crate) fn assert_misuse<T: std::fmt::Debug>(result: Result<T, Error>, expected: Misuse) {
    match result {
        Err(Error::Misuse(misuse)) => {
            assert_eq!(misuse, expected);
            assert!(!Error::from(misuse).is_fatal() && Error::from(misuse).alert().is_none());
        }
        other => panic!("{expected:?} expected, and not {other:?}"),
    }
}

/// Data goes both ways, so that no harm was done.
pub(crate) fn assert_unharmed(duel: &mut Duel) {
    let mut out = Vec::new();
    duel.victim().write(b"from the victim", &mut out).unwrap();
    let mut at = 0;
    loop {
        match duel.attacker().read(now(), &mut out[at..], &mut Vec::new()).unwrap() {
            Read::Data { data, .. } => break assert_eq!(data, b"from the victim"),
            Read::Control { used } => at += used,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn not_connected() {
    for attacker in Role::BOTH {
        let mut duel = Duel::new(attacker, simple());
        let (victim, mut out) = (duel.victim(), Vec::new());
        assert_misuse(victim.write(b"data", &mut out), Misuse::NotConnected);
        assert_misuse(victim.seal(&mut [0; 64], 4), Misuse::NotConnected);
        assert_misuse(victim.update_keys(true, &mut out), Misuse::NotConnected);
        assert_misuse(victim.export(b"label", None, &mut [0; 8]), Misuse::NotConnected);
        assert!(out.is_empty());
        duel.run(|unit| vec![unit]);
        assert_unharmed(&mut duel);
    }
    let server = Connection::server(std::sync::Arc::new(simple().1));
    assert_misuse(server.into_traffic_keys(), Misuse::NotConnected);
    let server = Connection::server(std::sync::Arc::new(simple().1));
    assert_misuse(server.split(), Misuse::NotConnected);
}

pub(crate) fn closed() {
    let mut duel = Duel::connected(Client, simple());
    let (victim, mut out) = (duel.victim(), Vec::new());
    victim.close(&mut out).unwrap();
    out.clear();
    assert_misuse(victim.write(b"data", &mut out), Misuse::Closed);
    assert_misuse(victim.seal(&mut [0; 64], 4), Misuse::Closed);
    assert_misuse(victim.update_keys(false, &mut out), Misuse::Closed);
    victim.close(&mut out).unwrap();
    assert!(out.is_empty());
    // The other direction is open.
    duel.inject([Unit::post(&key_update(1))]);
    duel.assert_content();
}

pub(crate) fn closed_for_keys() {
    let mut duel = Duel::connected(Client, simple());
    duel.victim().close(&mut Vec::new()).unwrap();
    assert_misuse(duel.into_victim().into_traffic_keys(), Misuse::Closed);
}

pub(crate) fn record_buffer() {
    let mut duel = Duel::connected(Client, simple());
    for len in [0, 1, 100] {
        let mut record = vec![0; RECORD_HEADER + len + RECORD_TRAILER - 1];
        assert_misuse(duel.victim().seal(&mut record, len), Misuse::RecordBuffer);
        assert!(record.iter().all(|b| *b == 0));
        assert_misuse(duel.victim().seal(&mut [], len), Misuse::RecordBuffer);
    }
    assert_unharmed(&mut duel);
}

pub(crate) fn record_too_long() {
    let (client, server) = simple();
    let server = server.with_max_fragment(100).unwrap();
    for (configs, most) in [(simple(), 1 << 14), ((client, server), 100)] {
        let mut duel = Duel::connected(Client, configs);
        let mut record = vec![0; RECORD_HEADER + (1 << 15) + RECORD_TRAILER];
        for len in [most + 1, 1 << 15, usize::MAX] {
            assert_misuse(duel.victim().seal(&mut record, len), Misuse::RecordTooLong);
        }
        assert!(record.iter().all(|b| *b == 0));
        assert_unharmed(&mut duel);
        duel.victim().seal(&mut record, most).unwrap();
    }
}

pub(crate) fn output_waiting() {
    let mut duel = Duel::connected(Client, simple());
    duel.inject([Unit::post(&key_update(1))]);
    duel.assert_content();
    let mut record = [0; 64];
    // The peer has asked for a new key, which has to go first.
    for _ in 0..2 {
        assert_misuse(duel.victim().seal(&mut record, 4), Misuse::OutputWaiting);
    }
    let mut out = Vec::new();
    duel.victim().flush(&mut out).unwrap();
    let len = duel.victim().seal(&mut record, 4).unwrap();
    out.extend_from_slice(&record[..len]);
    let (attacker, mut at) = (duel.attacker(), 0);
    while at < out.len() {
        match attacker.read(now(), &mut out[at..], &mut Vec::new()).unwrap() {
            Read::Control { used } | Read::Data { used, .. } => at += used,
            other => panic!("{other:?}"),
        }
    }
    assert_unharmed(&mut duel);
}

pub(crate) fn unexpected_answer() {
    let answers = || {
        [
            Answer::UseConfig,
            Answer::Refuse(Alert::access_denied),
            Answer::Choose(Choice::default()),
            Answer::Signature(vec![1]),
            Answer::Accept,
        ]
    };
    for attacker in Role::BOTH {
        let mut duel = Duel::new(attacker, simple());
        for answer in answers() {
            let result = duel.victim().answer(now(), answer, &mut Vec::new());
            assert_misuse(result, Misuse::UnexpectedAnswer);
        }
        duel.run(|unit| vec![unit]);
        for answer in answers() {
            let result = duel.victim().answer(now(), answer, &mut Vec::new());
            assert_misuse(result, Misuse::UnexpectedAnswer);
        }
        assert_unharmed(&mut duel);
    }
    // An answer to another question.
    let (client, server) = simple();
    let ask = Ask { client_hello: true, ..Ask::default() };
    let mut duel = Duel::new(Client, (client, server.with_ask(ask)));
    duel.run(|unit| vec![unit]);
    for answer in [Answer::Accept, Answer::Signature(vec![1])] {
        let result = duel.victim().answer(now(), answer, &mut Vec::new());
        assert_misuse(result, Misuse::UnexpectedAnswer);
        assert!(duel.victim().waiting_for().is_some());
    }
}

pub(crate) fn exporter_length() {
    let mut duel = Duel::connected(Client, simple());
    let victim = duel.victim();
    victim.export(&[b'x'; 249], None, &mut [0; 255 * 32]).unwrap();
    assert_misuse(victim.export(&[b'x'; 250], None, &mut [0; 8]), Misuse::ExporterLength);
    assert_misuse(victim.export(b"x", None, &mut [0; 255 * 32 + 1]), Misuse::ExporterLength);
    assert_unharmed(&mut duel);
}

pub(crate) fn busy() {
    // Output waits.
    let mut duel = Duel::connected(Client, simple());
    let mut none = [];
    duel.victim().update_keys(false, &mut FixedOutput::new(&mut none)).unwrap();
    assert_misuse(duel.into_victim().into_traffic_keys(), Misuse::Busy);
    // A new key is owed.
    let mut duel = Duel::connected(Server, simple());
    duel.inject([Unit::post(&key_update(1))]);
    assert_misuse(duel.into_victim().into_traffic_keys(), Misuse::Busy);
    // Half a message has come.
    let mut duel = Duel::connected(Client, simple());
    duel.inject([Unit::post(&key_update(0)[..3])]);
    assert_misuse(duel.into_victim().into_traffic_keys(), Misuse::Busy);
}

pub(crate) fn not_in_provider() {
    let (client, server) = simple();
    let suites = Misuse::NotInProvider("cipher suites");
    let ccm = CipherSuiteId::TLS_AES_128_CCM_SHA256;
    assert_misuse(client.clone().with_suites(&[ccm]), suites);
    assert_misuse(server.clone().with_suites(&[]), suites);
    let groups = Misuse::NotInProvider("groups");
    assert_misuse(client.clone().with_groups(&[NamedGroup::x448]), groups);
    assert_misuse(client.clone().with_groups(&[]), groups);
    assert_misuse(server.clone().with_groups(&[NamedGroup::x25519, NamedGroup(0)]), groups);
    let schemes = Misuse::NotInProvider("signature schemes");
    for list in [&[][..], &[SignatureScheme::ed448], &[SignatureScheme::rsa_pkcs1_sha256]] {
        assert_misuse(client.clone().with_schemes(list), schemes);
        assert_misuse(server.clone().with_schemes(list), schemes);
    }
}

pub(crate) fn config() {
    let (client, server) = simple();
    let is_config = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::Misuse(Misuse::Config(_)))), "{result:?}");
    };
    let (longest, longer) = ([b'x'; 255], [b'x'; 256]);
    let too_many = [&longest[..]; 256];
    for alpn in [&[&b""[..]][..], &[&longer], &too_many] {
        is_config(client.clone().with_alpn(alpn).map(drop));
        is_config(server.clone().with_alpn(alpn).map(drop));
        is_config(Choice::default().with_alpn(alpn).map(drop));
    }
    for bytes in [0, (1 << 14) + 1, usize::MAX] {
        is_config(client.clone().with_max_fragment(bytes).map(drop));
        is_config(server.clone().with_max_fragment(bytes).map(drop));
    }
    is_config(client.with_key_shares(&[NamedGroup::secp384r1]).map(drop));
    is_config(CookieKey::new(&[0; 32]).map(drop));
    is_config(CookieKey::new(&[1; 32]).unwrap().with_previous(&[0; 32]).map(drop));
}

pub(crate) fn private_key() {
    let provider = seeded(1);
    let chain = || pki().server(Kind::P256).chain.clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(vec![0x30, 0]));
    assert_misuse(Credential::new(&provider, chain(), &key), Misuse::PrivateKey);
    assert_misuse(Credential::from_pem(&provider, b"", b"no PEM"), Misuse::PrivateKey);
}

pub(crate) fn crl() {
    let bad = CertificateRevocationListDer::from(vec![0x30, 0]);
    let Err(Error::Misuse(Misuse::Crl { number, .. })) = Crls::from_der([bad]) else {
        panic!("it is taken")
    };
    assert_eq!(number, 1);
}

pub(crate) fn credential() {
    let provider = seeded(1);
    let identity = pki().server(Kind::P256);
    let new =
        |chain: Vec<CertificateDer<'static>>| Credential::new(&provider, chain, &identity.key);
    assert_misuse(new(Vec::new()), Misuse::Credential);
    assert_misuse(new(vec![CertificateDer::from(vec![0x30, 0])]), Misuse::Credential);
    assert_misuse(new(pki().client(Kind::P256).chain.clone()), Misuse::Credential);
    let external =
        |schemes: &[SignatureScheme]| Credential::external(identity.chain.clone(), schemes);
    for schemes in [&[][..], &[SignatureScheme::ed25519], &[SignatureScheme::ecdsa_sha1]] {
        assert_misuse(external(schemes), Misuse::Credential);
    }
    assert_misuse(
        Credential::external(Vec::new(), &[SignatureScheme::ed25519]),
        Misuse::Credential,
    );
}
