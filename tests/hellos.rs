//! Every ClientHello and ServerHello of `vectors/hellos`, as they were seen in the wild.
//!
//! What is in each is known from a parser of another origin, so that each answer can be foretold.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use sealwire::codepoints::{Alert, CertificateType, ExtensionType, NamedGroup, ProtocolVersion};
use sealwire::{
    ClientConfig, ClientHelloView, Connection, Error, NoOverlap, Read, ServerConfig, Violation,
};
use serde_json::Value;
use support::{Kind, configs, gunzip, now, pki, server_name};

/// A message, and what the other parser found in it.
struct Hello {
    about: Value,
    message: Vec<u8>,
}

impl Hello {
    fn all(name: &str) -> Vec<Self> {
        let lines = String::from_utf8(gunzip(&format!("hellos/{name}.jsonl.gz"))).unwrap();
        let bytes = gunzip(&format!("hellos/{name}.bin.gz"));
        let mut rest = &bytes[..];
        let hello = |line: &str| {
            let about: Value = serde_json::from_str(line).unwrap();
            let len = usize::try_from(about["bytes"].as_u64().unwrap()).unwrap();
            let (message, after) = rest.split_at(len);
            rest = after;
            Self { about, message: message.to_vec() }
        };
        let all: Vec<_> = lines.lines().map(hello).collect();
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        all
    }

    fn id(&self) -> &str {
        self.about["id"].as_str().unwrap()
    }

    fn is(&self, flag: &str) -> bool {
        self.about[flag] == true
    }

    /// A list of numbers; empty if it is not there.
    fn numbers(&self, field: &str) -> Vec<u16> {
        let list = self.about[field].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(number).collect()
    }

    fn key_share_groups(&self) -> Vec<u16> {
        let list = self.about["key_shares"].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|share| number(&share[0])).collect()
    }

    fn faulty_field(&self) -> Option<&'static str> {
        FAULTY_FIELDS.iter().find(|(id, _)| *id == self.id()).map(|(_, what)| *what)
    }

    /// In records, as over TCP.
    fn records(&self) -> Vec<u8> {
        let fragments = self.message.chunks(1 << 14);
        fragments.flat_map(record).collect()
    }
}

/// Hellos whose frame is sound, which is as far as the other parser looked, but not the inside of this field.
const FAULTY_FIELDS: [(&str, &str); 11] = [
    // No compression method at all.
    ("17690472ad8aca7d", "ClientHello"),
    // supported_versions under the number of cookie.
    ("1102d9cf37dd4d70", "cookie"),
    // An empty name, and an empty list.
    ("6e52e0f23b839d2f", "application_layer_protocol_negotiation"),
    ("05d026b7784fa1be", "application_layer_protocol_negotiation"),
    ("909e3f18a6277e7f", "application_layer_protocol_negotiation"),
    // No bytes in it.
    ("895b465b3366c491", "pre_shared_key"),
    ("4071fb601567b462", "pre_shared_key"),
    ("8bbf0fa53edf4828", "pre_shared_key"),
    ("d37215d19f835052", "pre_shared_key"),
    // An identity without bytes, and a binder of 16.
    ("e786b56cfe0984fb", "pre_shared_key.identities"),
    ("bd80d34777082da4", "pre_shared_key.binders"),
];

fn number(value: &Value) -> u16 {
    value.as_u64().unwrap().try_into().unwrap()
}

fn record(fragment: &[u8]) -> Vec<u8> {
    let len = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    [&[22, 3, 1, len[0], len[1]], fragment].concat()
}

/// Reads all of `input`, or as far as the first error.
fn feed(conn: &mut Connection, mut input: &mut [u8], out: &mut Vec<u8>) -> Result<(), Error> {
    loop {
        match conn.read(now(), input, out)? {
            Read::Control { used } => input = &mut input[used..],
            Read::NeedMore { .. } => return Ok(()),
            other => panic!("{other:?}"),
        }
    }
}

/// The error without what it carries, for a tally.
fn kind(error: &Error) -> String {
    let text = format!("{error:?}");
    match error {
        Error::Decode(_) | Error::Violation(_) => text,
        _ => text.split(['[', '{']).next().unwrap().to_owned(),
    }
}

fn print(title: &str, tally: &BTreeMap<String, usize>) {
    println!("{title}:");
    tally.iter().for_each(|(what, count)| println!("{count:6}  {what}"));
}

#[test]
fn every_client_hello_parses_or_is_malformed() {
    let all = Hello::all("client");
    assert_eq!(all.len(), 2113);
    let mut tally = BTreeMap::new();
    for hello in &all {
        let outcome = match ClientHelloView::from_bytes(&hello.message) {
            Ok(view) => {
                assert!(hello.is("ok") && hello.faulty_field().is_none(), "{} parses", hello.id());
                compare(hello, &view);
                "parsed".to_owned()
            }
            Err(Error::Decode(what)) => {
                if hello.is("ok") {
                    assert_eq!(Some(what), hello.faulty_field(), "{}", hello.id());
                }
                format!("malformed {what}")
            }
            Err(other) => panic!("{}: {other:?}", hello.id()),
        };
        *tally.entry(outcome).or_insert(0) += 1;
    }
    print("2113 ClientHellos", &tally);
    assert_eq!(tally["parsed"], 2113 - 8 - FAULTY_FIELDS.len());
}

/// The view finds what the other parser found.
fn compare(hello: &Hello, view: &ClientHelloView) {
    let id = hello.id();
    assert_eq!(view.as_bytes(), hello.message, "{id}");
    let numbers =
        |list: Vec<u16>, field: &str| assert_eq!(list, hello.numbers(field), "{id} {field}");
    numbers(view.suites().iter().map(|s| s.0).collect(), "cipher_suites");
    numbers(view.groups().iter().map(|g| g.0).collect(), "groups");
    numbers(view.schemes().iter().map(|s| s.0).collect(), "sigalgs");
    numbers(view.versions().iter().map(|v| v.0).collect(), "versions");
    numbers(view.extensions().iter().map(|(kind, _)| kind.0).collect(), "extensions");
    let shares: Vec<u16> = view.key_share_groups().iter().map(|g| g.0).collect();
    assert_eq!(shares, hello.key_share_groups(), "{id}");
    assert_eq!(view.server_name().as_deref(), hello.about["sni"].as_str(), "{id}");
    let alpn = hello.about["alpn"].as_array().map(Vec::as_slice).unwrap_or_default();
    let alpn: Vec<&str> = alpn.iter().map(|name| name.as_str().unwrap()).collect();
    let seen = view.alpn();
    // The other parser's strings are Latin-1.
    let text = |name: &Vec<u8>| name.iter().map(|b| char::from(*b)).collect::<String>();
    let seen: Vec<_> = seen.iter().map(text).collect();
    assert_eq!(seen, alpn, "{id}");
}

fn server() -> Arc<ServerConfig> {
    let (_, server) = configs(70);
    let provider = server.provider().clone();
    let credentials = Kind::ALL.map(|kind| pki().server(kind).credential(&provider)).to_vec();
    Arc::new(ServerConfig::new(provider, credentials).unwrap())
}

#[test]
fn a_server_answers_every_client_hello() {
    let config = server();
    let mut tally = BTreeMap::new();
    for hello in Hello::all("client") {
        let mut conn = Connection::server(Arc::clone(&config));
        let mut out = Vec::new();
        let result = feed(&mut conn, &mut hello.records(), &mut out);
        let seen = match &result {
            Err(error) => {
                let alert = error.alert().unwrap();
                assert_eq!(out, [21, 3, 3, 0, 2, 2, alert.0], "{}: {error:?}", hello.id());
                Answer::Error(kind(error))
            }
            Ok(()) => {
                assert_eq!((out[0], out[5]), (22, 2), "{}: no ServerHello", hello.id());
                let retry = out[11..15] == [0xcf, 0x21, 0xad, 0x74];
                if retry { Answer::Retry } else { Answer::Hello }
            }
        };
        *tally.entry(format!("{} {seen:?}", hello.about["transport"])).or_insert(0) += 1;
        let expected = expect(&hello);
        assert_eq!(seen, expected, "{}: {result:?} {}", hello.id(), hello.about);
        if let Err(Error::NoOverlap(NoOverlap::Version(versions))) = result {
            let versions: Vec<u16> = versions.iter().map(|v| v.0).collect();
            let legacy = u16::from_be_bytes([hello.message[4], hello.message[5]]);
            let offered = hello.numbers("versions");
            let offered = if offered.is_empty() { vec![legacy] } else { offered };
            assert_eq!(versions, offered, "{}", hello.id());
        }
    }
    print("A server's answers", &tally);
    let hellos: usize =
        tally.iter().filter(|(what, _)| what.ends_with("Hello")).map(|(_, count)| *count).sum();
    assert!(hellos > 1000, "only {hellos} ServerHellos");
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Hello,
    Retry,
    Error(String),
}

/// What a server with every suite, group and kind of certificate has to answer.
fn expect(hello: &Hello) -> Answer {
    let error = |error: Error| Answer::Error(kind(&error));
    let have = |list: &[u16], ours: &[u16]| list.iter().any(|one| ours.contains(one));
    if !hello.is("ok") {
        // Which field it is that does not end where it should is the parser's own view of it.
        let view = ClientHelloView::from_bytes(&hello.message).map(drop);
        return error(view.unwrap_err());
    }
    if let Some(what) = hello.faulty_field() {
        return error(Error::Decode(what));
    }
    if !hello.is("tls13") {
        return error(NoOverlap::Version(Vec::new()).into());
    }
    let groups = hello.numbers("groups");
    let shares = hello.key_share_groups();
    let extensions = hello.numbers("extensions");
    if let Some(missing) = missing(&extensions) {
        return error(missing.into());
    }
    if shares.iter().any(|share| !groups.contains(share)) {
        // Some captures have a share of GREASE that their supported_groups lack.
        return error(Violation::KeyShareNotInGroups.into());
    }
    if !have(&hello.numbers("cipher_suites"), &[0x1301, 0x1302, 0x1303]) {
        return error(NoOverlap::CipherSuite(Vec::new()).into());
    }
    let ours = [
        NamedGroup::X25519MLKEM768,
        NamedGroup::x25519,
        NamedGroup::secp256r1,
        NamedGroup::secp384r1,
    ];
    if !have(&groups, &ours.map(|g| g.0)) {
        return error(NoOverlap::Group(Vec::new()).into());
    }
    // RFC 7250 §4.2: some want a raw public key of the server and nothing else, and this server has none.
    let view = ClientHelloView::from_bytes(&hello.message).unwrap();
    let types = view.extensions().into_iter();
    let types = types.filter(|(kind, _)| *kind == ExtensionType::server_certificate_type);
    if { types }.any(|(_, list)| !list[1..].contains(&CertificateType::X509.0)) {
        return error(NoOverlap::CertificateType(Vec::new()).into());
    }
    if have(&shares, &ours.map(|g| g.0)) { Answer::Hello } else { Answer::Retry }
}

/// RFC 9846 §9.2: what a ClientHello must have. With a pre-shared key it may do without signature_algorithms.
fn missing(extensions: &[u16]) -> Option<Violation> {
    // With a pre-shared key a certificate may not be needed: that it is wanted is seen last.
    if extensions.contains(&ExtensionType::pre_shared_key.0) {
        return None;
    }
    let needed = [
        (ExtensionType::signature_algorithms, Violation::MissingSignatureAlgorithms),
        (ExtensionType::supported_groups, Violation::MissingSupportedGroups),
        (ExtensionType::key_share, Violation::MissingKeyShare),
    ];
    let psk = extensions.contains(&ExtensionType::pre_shared_key.0);
    let needed = needed.into_iter().skip(usize::from(psk));
    let missing = { needed }.find(|(kind, _)| !extensions.contains(&kind.0));
    missing.map(|(_, violation)| violation)
}

#[test]
fn a_client_survives_every_server_hello() {
    let all = Hello::all("server");
    assert_eq!(all.len(), 1485);
    let (client, _) = configs(71);
    let client = client.with_groups(&[NamedGroup::x25519, NamedGroup::secp256r1]).unwrap();
    for compatible in [true, false] {
        let config = Arc::new(client.clone().with_middlebox_compatibility(compatible));
        let mut tally = BTreeMap::new();
        for hello in &all {
            let result = ask(&config, hello);
            let what = match &result {
                Ok(()) => "goes on".to_owned(),
                Err(error) => kind(error),
            };
            *tally.entry(what).or_insert(0) += 1;
            if !hello.is("ok") {
                assert!(matches!(result, Err(Error::Decode(_))), "{}: {result:?}", hello.id());
            } else if !hello.is("tls13") {
                judge_old(hello, result);
            } else if compatible || hello.message[38] != 0 {
                // It cannot have echoed our legacy_session_id.
                let violation = Violation::SessionIdNotEchoed;
                let wrong = matches!(&result, Err(Error::Violation(v)) if *v == violation);
                assert!(wrong, "{}: {result:?}", hello.id());
            } else if let Err(error) = result {
                assert!(matches!(error, Error::Violation(_)), "{}: {error:?}", hello.id());
            }
        }
        print("A client's reactions", &tally);
        assert!(compatible || tally["goes on"] > 20, "no progress with any");
    }
}

/// A ServerHello of TLS 1.2 or less: its version is named, unless it says that it could speak TLS 1.3.
fn judge_old(hello: &Hello, result: Result<(), Error>) {
    let version = u16::from_be_bytes([hello.message[4], hello.message[5]]);
    let sentinel = hello.message[30..37] == *b"DOWNGRD" && hello.message[37] <= 1;
    let error = result.expect_err("TLS 1.2 goes on");
    match error {
        Error::Violation(Violation::Downgrade) => assert!(sentinel, "{}", hello.id()),
        Error::NoOverlap(NoOverlap::Version(ref named)) => {
            assert!(!sentinel, "{}", hello.id());
            assert_eq!(*named, [ProtocolVersion(version)], "{}", hello.id());
            assert_eq!(error.alert(), Some(Alert::protocol_version));
        }
        // A draft of TLS 1.3.
        Error::Violation(Violation::BadSelectedVersion) => {}
        other => panic!("{}: {other:?}", hello.id()),
    }
}

fn ask(config: &Arc<ClientConfig>, hello: &Hello) -> Result<(), Error> {
    let mut out = Vec::new();
    let mut conn = Connection::client(Arc::clone(config), server_name(), now(), &mut out).unwrap();
    let sent = out.len();
    let result = feed(&mut conn, &mut hello.records(), &mut out);
    if let Err(error) = &result {
        let alert = error.alert().unwrap();
        assert_eq!(out[sent..], [21, 3, 3, 0, 2, 2, alert.0], "{}: {error:?}", hello.id());
    }
    assert!(!conn.is_connected());
    result
}

/// A ClientHello may be cut into records anywhere.
#[test]
fn a_client_hello_is_cut_at_every_byte() {
    let config = server();
    let all = Hello::all("client");
    let hello = all.iter().find(|h| h.is("tls13") && h.message.len() < 400).unwrap();
    let whole = &hello.message;
    for cut in 1..whole.len() {
        let mut conn = Connection::server(Arc::clone(&config));
        let mut out = Vec::new();
        let mut input = [record(&whole[..cut]), record(&whole[cut..])].concat();
        feed(&mut conn, &mut input, &mut out).unwrap();
        assert_eq!((out[0], out[5]), (22, 2), "cut at {cut}");
    }
}
