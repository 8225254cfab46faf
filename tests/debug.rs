//! `Debug` of every public type, and `Display` of every error: no key material in any of them.
//!
//! The list of types is held to the sources: a public type that is not shown here fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sealwire::adapter::io::Stream;
use sealwire::adapter::key_log_file::KeyLogFile;
use sealwire::codepoints::{
    Alert, CertificateCompressionAlgorithm, CertificateType, CipherSuiteId, ContentType,
    ExtensionType, HandshakeType, NamedGroup, ProtocolVersion, SignatureScheme,
};
use sealwire::crypto::CryptoError;
use sealwire::crypto::deterministic::{MessageHook, ScriptedRng, SeededRng};
use sealwire::*;
use support::{Calls, Kind, Lines, Pair, Role, configs, later, now, pki, server_name};

/// What was shown, under the name of its type.
#[derive(Default)]
struct Shown(BTreeMap<String, Vec<String>>);

impl Shown {
    fn add(&mut self, name: &str, value: &dyn Debug) {
        let texts = self.0.entry(name.to_owned()).or_default();
        texts.extend([format!("{value:?}"), format!("{value:#?}")]);
    }

    /// With `Display`, and all that it comes from.
    fn add_error(&mut self, name: &str, error: &dyn std::error::Error) {
        self.add(name, &error);
        let mut next = Some(error);
        while let Some(error) = next {
            self.0.get_mut(name).unwrap().push(error.to_string());
            next = error.source();
        }
    }
}

/// Every way in which bytes come to be printed.
fn forms(secret: &[u8]) -> Vec<String> {
    // Half of it is too much, and hardly a coincidence.
    let part = &secret[..secret.len() / 2];
    let join = |separator: &str, digit: &dyn Fn(&u8) -> String| {
        part.iter().map(digit).collect::<Vec<_>>().join(separator)
    };
    let mut all = Vec::new();
    for separator in ["", " ", ":", ", ", ",", ",\n    ", ",\n        ", ",\n            "] {
        all.push(join(separator, &|byte| format!("{byte:02x}")));
        all.push(join(separator, &|byte| format!("{byte:02X}")));
        if !separator.is_empty() {
            all.push(join(separator, &|byte| byte.to_string()));
            all.push(join(separator, &|byte| format!("{byte:#04x}")));
            all.push(join(separator, &|byte| format!("{byte:#x}")));
        }
    }
    all.push(part.escape_ascii().to_string());
    all.push(String::from_utf8_lossy(part).into_owned());
    all.push(String::from_utf8_lossy(part).escape_debug().to_string());
    all
}

/// The public types that the sources declare. (The lint `unreachable_pub` sees to it that `pub` means public.)
fn public_types() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "bin" {
                folders.push(path);
            } else if name.ends_with(".rs") && is_compiled(name) {
                let text = std::fs::read_to_string(&path).unwrap();
                names.extend(types_in(&text));
            }
        }
    }
    names
}

/// Files behind features of their own.
fn is_compiled(file: &str) -> bool {
    match file {
        "redis.rs" => cfg!(feature = "redis"),
        "zlib.rs" => cfg!(feature = "zlib"),
        "brotli.rs" => cfg!(feature = "brotli"),
        "zstd.rs" => cfg!(feature = "zstd"),
        _ => true,
    }
}

fn types_in(source: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
    let mut names = Vec::new();
    let mut in_enum = false;
    for line in source.lines().map(str::trim) {
        for keyword in ["pub struct ", "pub enum ", "pub union "] {
            // `$name` is that of a macro, whose uses come below.
            names.extend(line.strip_prefix(keyword).map(word).filter(|name| !name.is_empty()));
        }
        // `open_enum! {`, attributes, and `Name: u16 {`
        in_enum |= line == "open_enum! {";
        if in_enum && line.ends_with('{') && line.contains(": u") {
            names.push(word(line));
            in_enum = false;
        }
    }
    names
}

#[test]
fn the_sources_are_read() {
    let source = "pub struct One<'a>(\n    pub(crate) struct Two {\npub enum Three {\nopen_enum! {\n/// x\nFour: u8 {";
    assert_eq!(types_in(source), ["One", "Three", "Four"]);
    let types = public_types();
    for name in ["Connection", "Violation", "Alert", "Stream", "Secret", "SeededRng"] {
        assert!(types.contains(name), "{name}");
    }
}

#[test]
fn every_form_is_found() {
    #[derive(Debug)]
    #[allow(dead_code)] // It is printed.
    struct Leak<T>(T);
    let secret = b"planted secret \x07\xff bytes";
    let list = secret.to_vec();
    let leaks = [
        format!("{:?}", Leak(&list)),
        format!("{:#?}", Leak(&list)),
        format!("{:x?}", Leak(&list)),
        format!("{:#x?}", Leak(&list)),
        format!("{:?}", Leak(Leak(&list))),
        format!("{:#?}", Leak(Leak(&list))),
        list.iter().map(|byte| format!("{byte:02x}")).collect(),
        format!("{:?}", String::from_utf8_lossy(&list)),
        list.escape_ascii().to_string(),
    ];
    for leak in leaks {
        assert!(forms(secret).iter().any(|form| leak.contains(form)), "{leak}");
    }
}

/// What it is that must not be seen. All of it is used below.
struct Planted {
    psk: Vec<u8>,
    migration: [u8; 32],
    cookie: [u8; 32],
}

#[test]
fn pitfall_26_debug_of_every_public_type() {
    let planted = Planted {
        psk: b"an external key that nobody sees".to_vec(),
        migration: *b"migration key of 32 secret bytes",
        cookie: *b"this authenticates every cookie!",
    };
    let lines = Lines::new();
    let mut shown = Shown::default();
    let mut secrets =
        vec![planted.psk.clone(), planted.migration.to_vec(), planted.cookie.to_vec()];
    let document = pki().server(Kind::P256).key.secret_der();
    let at = document.windows(5).position(|window| window == [2, 1, 1, 4, 32]).unwrap();
    secrets.push(document[at + 5..at + 37].to_vec());

    show_values(&mut shown, &planted);
    show_errors(&mut shown);
    show_connections(&mut shown, &mut secrets, &planted, &lines);
    secrets.extend(lines.all().into_iter().map(|(_, _, secret)| secret));
    assert!(secrets.len() > 10, "{} secrets", secrets.len());

    let names: BTreeSet<String> = shown.0.keys().cloned().collect();
    let types = public_types();
    // A type inside another is shown with it.
    let inside = |name: &str| {
        let starts = [format!("{name} {{"), format!("{name}(")];
        let shows = |text: &String| starts.iter().any(|start| text.contains(start));
        shown.0.values().flatten().any(shows)
    };
    let missing: Vec<_> = types.difference(&names).filter(|name| !inside(name)).collect();
    assert!(missing.is_empty(), "add these to what is shown here: {missing:?}");
    let gone: Vec<_> = names.difference(&types).collect();
    assert!(gone.is_empty(), "these are no public types: {gone:?}");
    for secret in &secrets {
        let forms = forms(secret);
        for (name, texts) in &shown.0 {
            for text in texts {
                let leak = forms.iter().find(|form| text.contains(*form));
                assert!(leak.is_none(), "{name} shows {leak:?} of a secret:\n{text}");
            }
        }
    }
}

/// Numbers, small settings, and what holds a key and nothing else.
fn show_values(shown: &mut Shown, planted: &Planted) {
    shown.add("Alert", &Alert::close_notify);
    let algorithm = CertificateCompressionAlgorithm::zlib;
    shown.add("CertificateCompressionAlgorithm", &algorithm);
    shown.add("CipherSuiteId", &CipherSuiteId::TLS_AES_128_GCM_SHA256);
    shown.add("ContentType", &ContentType::alert);
    shown.add("ExtensionType", &ExtensionType::server_name);
    shown.add("HandshakeType", &HandshakeType::finished);
    shown.add("NamedGroup", &NamedGroup::x25519);
    shown.add("ProtocolVersion", &ProtocolVersion::TLSv1_3);
    shown.add("SignatureScheme", &SignatureScheme::ed25519);
    shown.add("CertificateType", &CertificateType::X509);
    shown.add("Evidence", &Evidence::default());
    shown.add("Ask", &Ask::default());
    shown.add("Limits", &Limits::default());
    shown.add("Padding", &Padding::default());
    shown.add("PskPolicy", &PskPolicy::default());
    shown.add("PskHash", &PskHash::Sha256);
    shown.add("Purpose", &Purpose::Client);
    shown.add("ServerNamePolicy", &ServerNamePolicy::default());
    shown.add("EarlyData", &EarlyData::default());
    shown.add("Waiting", &Waiting::Verdict);
    shown.add("SeededRng", &SeededRng::new(1));
    let scripted = ScriptedRng::new(vec![planted.psk.clone()], 1);
    shown.add("ScriptedRng", &scripted);
    shown.add("MessageHook", &MessageHook(Arc::new(|_, _| {})));

    shown.add("Secret", &Secret::from_slice(&planted.psk).unwrap());
    let (_, server) = configs(900);
    let provider = server.provider();
    shown.add("Provider", provider);
    shown.add("CipherSuite", &provider.suites);
    shown.add("HashValue", &provider.suites[0].hash.digest(&planted.psk));
    let psk = Arc::new(ExternalPsk::new(b"name", &planted.psk).unwrap());
    shown.add("ExternalPsk", &psk);
    shown.add("MigrationKey", &MigrationKey::new(provider, &planted.migration).unwrap());
    let cookie = CookieKey::new(&planted.cookie).unwrap().with_previous(&planted.migration);
    shown.add("CookieKey", &cookie.unwrap());
    shown.add("MemoryReplay", &MemoryReplay::new(10, now()));
    shown
        .add("RedeemedTicket", &RedeemedTicket { state: planted.psk.clone().into(), shared: true });
    let tickets = MemoryTickets::new(provider, 10, 1000);
    tickets.issue(&planted.psk, now(), std::time::Duration::from_secs(60)).unwrap();
    shown.add("MemoryTickets", &tickets);
    let mut buffer = planted.psk.clone();
    shown.add("FixedOutput", &FixedOutput::new(&mut buffer));
    shown.add("TrustAnchors", &pki().anchors());
    shown.add("Verifier", &Verifier::new(pki().anchors()));
    let chain = &pki().server(Kind::P256).chain;
    let verifier = Verifier::new(pki().anchors());
    let name = server_name();
    shown.add("Profile", &Profile::default());
    shown.add("TrustVersion", &TrustVersion::default());
    show_evidence(shown, provider);
    let nothing = Evidence::default();
    let started = verifier.start(provider, chain, Purpose::Server, Some(&name), now(), nothing);
    shown.add("Verification", &started);
    let path = verifier
        .verify(provider, chain, Purpose::Server, Some(&name), now(), Evidence::default())
        .unwrap();
    shown.add("VerifiedPath", &path);
    let credential = pki().server(Kind::P256).credential(provider);
    shown.add("Credential", &credential);
    shown.add("ClientAuth", &ClientAuth::Required(verifier));
    shown.add("Choice", &Choice::default().with_credential(credential.clone()));
    let answers = [Answer::UseConfig, Answer::ExternalPsk(0, psk), Answer::NoPsk];
    answers.iter().for_each(|answer| shown.add("Answer", answer));
    let state = RedeemedTicket { state: planted.psk.clone().into(), shared: false };
    shown.add("Answer", &Answer::Ticket(0, Arc::new(state)));

    // Application data is nobody's business either.
    let mut data = planted.psk.clone();
    shown.add("Read", &Read::Data { used: 60, data: &mut data });
    shown.add("Read", &Read::EarlyData { used: 60, data: &mut data });
    shown.add("Read", &Read::NeedMore { need: 5 });
    let path = std::env::temp_dir().join(format!("sealwire-debug-{}", std::process::id()));
    let file = KeyLogFile::append(&path).unwrap();
    shown.add("KeyLogFile", &file);
    std::fs::remove_file(path).unwrap();
    #[cfg(feature = "zlib")]
    shown.add("Zlib", &compress::Zlib);
    #[cfg(feature = "brotli")]
    shown.add("Brotli", &compress::Brotli);
    #[cfg(feature = "zstd")]
    shown.add("Zstd", &compress::Zstd);
    #[cfg(feature = "redis")]
    {
        let url = format!("redis://user:{}@localhost", String::from_utf8_lossy(&planted.cookie));
        match adapter::redis::RedisReplay::new(&url) {
            Ok(replay) => shown.add("RedisReplay", &replay),
            Err(error) => shown.add_error("RedisReplay", &error),
        }
    }
}

/// Policies for evidence beside a chain. All of it is public.
fn show_evidence(shown: &mut Shown, provider: &crypto::Provider) {
    let revocation = Revocation::hard_fail();
    shown.add("Crls", revocation.crls());
    shown.add("Revocation", &revocation);
    let key = (provider.load_key)(&pki().server(Kind::P256).key).unwrap();
    let log = CtLog::new(key.spki().to_vec(), "log", "operator").unwrap();
    shown.add("CtLog", &log);
    shown.add("Transparency", &Transparency::new([log]));
}

fn show_errors(shown: &mut Shown) {
    for violation in Violation::ALL {
        shown.add_error("Violation", violation);
        shown.add_error("Error", &Error::from(*violation));
    }
    let offered = vec![ProtocolVersion::TLSv1_2];
    shown.add_error("NoOverlap", &NoOverlap::Version(offered));
    shown.add_error("Limit", &Limit::KeyExhausted);
    shown.add_error("Misuse", &Misuse::Psk);
    shown.add_error("CryptoError", &CryptoError);
    shown.add_error("DecompressionError", &compress::DecompressionError::Window);
    for error in [
        Error::Decode("ClientHello"),
        Error::BadRecordMac,
        Error::PeerAlert(Alert::decrypt_error),
        Error::Refused(Alert::access_denied),
        Error::Crypto(CryptoError),
        Error::TooLong,
        Error::Truncated,
        Error::OutputTooSmall { need: 7 },
        Error::UnexpectedMessage { state: "WAIT_SH", got: "Finished" },
    ] {
        shown.add_error("Error", &error);
    }
    // A chain that nobody vouches for, with its report.
    let (_, server) = configs(901);
    let verifier = Verifier::new(pki().other_anchors());
    let chain = &pki().server(Kind::P256).chain;
    let error = verifier.verify(
        server.provider(),
        chain,
        Purpose::Server,
        None,
        now(),
        Evidence::default(),
    );
    let error = error.unwrap_err();
    shown.add_error("CertificateError", &error);
    shown.add_error("CertificateReason", &error.reason);
    shown.add("CertificateReport", &error.report);
    shown.0.get_mut("CertificateReport").unwrap().push(error.report.to_string());
    shown.add("PathAttempt", &error.report.attempts[0]);
    shown.add_error("Error", &Error::from(error));
}

/// Both ends of connections with everything in them, at every stage.
fn show_connections(
    shown: &mut Shown,
    secrets: &mut Vec<Vec<u8>>,
    planted: &Planted,
    lines: &Arc<Lines>,
) {
    let (client, server) = configs(902);
    let keys = Arc::new(TicketKeys::new(server.provider(), now()).unwrap());
    let sessions = Arc::new(MemorySessions::default());
    let credential = pki().client(Kind::P256).credential(client.provider());
    let client = client.with_credentials(vec![credential]).with_sessions(sessions.clone());
    let client = client.with_early_data(true).with_key_log(lines.clone());
    let all = Ask {
        client_hello: true,
        credential: true,
        signature: true,
        verdict: true,
        psk: true,
        early_data: true,
    };
    let client = client.with_ask(all);
    let server = server.with_client_auth(ClientAuth::Optional(Verifier::new(pki().anchors())));
    let server = server.with_tickets(keys.clone()).with_key_log(lines.clone()).with_ask(all);
    let server = server.with_early_data(Arc::new(MemoryReplay::new(100, later(-3600))), 1000);
    let server = server.with_stateless_retry(Arc::new(CookieKey::new(&planted.cookie).unwrap()));
    let psk = ExternalPsk::new(b"name", &planted.psk).unwrap();
    let shared = server.clone().with_external_psks(vec![Arc::new(psk)], PskPolicy::OrCertificate);
    shown.add("ClientConfig", &client);
    shown.add("ServerConfig", &shared);

    // Whatever is asked is shown, and so are both connections at that moment.
    let asked: Arc<Mutex<Shown>> = Arc::default();
    let connect = || {
        let mut pair = Calls::PLAIN.pair(client.clone(), server.clone());
        if pair.client.conn.early_data_left().is_some() {
            pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
        }
        asked.lock().unwrap().add("Connection", &pair.client.conn);
        let sink = asked.clone();
        pair.answerer = Box::new(move |_, question| {
            let mut shown = sink.lock().unwrap();
            shown.add("Question", question);
            match question {
                Question::ClientHello(view) => shown.add("ClientHelloView", view),
                Question::Credential(request) => shown.add("CredentialRequest", request),
                Question::Signature(request) => shown.add("SignatureRequest", request),
                Question::Verdict(certificates) => shown.add("PeerCertificates", certificates),
                _ => {}
            }
            Some(Answer::UseConfig)
        });
        pair.connect()
    };
    let first = connect();
    let mut pair = connect();
    assert!(pair.client.conn.summary().unwrap().resumed);
    for (name, texts) in std::mem::take(&mut asked.lock().unwrap().0) {
        shown.0.entry(name).or_default().extend(texts);
    }
    pair.client.update_keys(true).unwrap();
    pair.chat();
    for role in Role::BOTH {
        let side = pair.side(role);
        let names = side.conn.summary().unwrap().peer_names();
        names.iter().for_each(|name| shown.add("CertificateName", name));
        shown.add("Summary", side.conn.summary().unwrap());
        side.events.iter().for_each(|event| shown.add("Event", event));
    }
    shown.add("TicketKeys", &keys);
    let exported = keys.export(now()).unwrap();
    secrets.push(exported[exported.len() - 32..].to_vec());
    shown.add("MemorySessions", &sessions);
    let session = sessions.drain().pop().unwrap();
    secrets.push(support::session::Parts::of(&session).psk);
    shown.add("SessionKey", session.key());
    shown.add("Session", &session);
    shown.add("Connection", &pair.client.conn);
    shown.add("Usage", &pair.client.conn.usage());
    let (sender, receiver) = pair.client.conn.split().unwrap();
    shown.add("Sender", &sender);
    shown.add("Receiver", &receiver);
    let keys = pair.server.conn.into_traffic_keys().unwrap();
    for direction in [&keys.sending, &keys.receiving] {
        shown.add("DirectionKeys", direction);
        secrets.extend([&direction.secret, &direction.key].map(|secret| secret.expose().to_vec()));
    }
    shown.add("TrafficKeys", &keys);
    let transport = std::io::Cursor::new(Vec::new());
    let Pair { client, .. } = first;
    let mut stream = Stream::new(client.conn, planted.psk.clone(), transport);
    shown.add("Stream", &stream);
    shown.add("EarlyReader", &stream.early_data());
}
