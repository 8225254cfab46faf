//! `sealwire verify`.

use std::fs;
use std::io::Read;
use std::process::Output;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, date_time_ymd,
};
use serde_json::{Value, json};

use crate::support::{Files, code, json as parse, run, stderr, tool};

/// 2026-01-01
const NOW: &str = "2026-01-01T00:00:00Z";

/// `root.pem`, `chain.pem` (a leaf for www.example.com until 2026-01-15, and an intermediate), `leaf.pem`, `client.pem`.
fn files() -> Files {
    let files = Files::new();
    let named = |name: &str, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.use_authority_key_identifier_extension = true;
        params
    };
    let authority = |name| {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let key = || KeyPair::generate().unwrap();
    let root = CertifiedIssuer::self_signed(authority("Root"), key()).unwrap();
    let ica = CertifiedIssuer::signed_by(authority("Intermediate"), key(), &root).unwrap();
    let mut leaf = named("www", &["www.example.com"]);
    leaf.not_after = date_time_ymd(2026, 1, 15);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.serial_number = Some(vec![7].into());
    let leaf = leaf.signed_by(&key(), &ica).unwrap().pem();
    let list = |serials: &[u8], issuer: &CertifiedIssuer<'_, KeyPair>| {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: vec![*serial].into(),
            revocation_time: date_time_ymd(2025, 12, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 12, 20),
            next_update: date_time_ymd(2026, 1, 20),
            crl_number: vec![1].into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap()
    };
    fs::write(files.path("root.crl"), list(&[9], &root).der()).unwrap();
    fs::write(files.path("good.crl"), list(&[9], &ica).pem().unwrap()).unwrap();
    fs::write(files.path("bad.crl"), list(&[7, 9], &ica).pem().unwrap()).unwrap();
    let mut client = named("client", &["client.example.com"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.signed_by(&key(), &ica).unwrap().pem();
    for (name, text) in [
        ("root.pem", root.pem()),
        ("leaf.pem", leaf.clone()),
        ("chain.pem", leaf + &ica.pem()),
        ("client.pem", client + &ica.pem()),
    ] {
        fs::write(files.path(name), text).unwrap();
    }
    fs::write(files.path("leaf.der"), ica.der()).unwrap();
    files
}

fn verify(files: &Files, chain: &str, more: &[&str]) -> Output {
    let (ca, chain) = (files.text("root.pem"), files.text(chain));
    run(&[&["verify", "--ca", &ca, &chain], more].concat(), b"")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Digits that differ from run to run become `…`.
fn steady(text: &str) -> String {
    let hexadecimal = |word: &str| word.len() >= 16 && word.chars().all(|c| c.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_end_matches(',');
            if hexadecimal(bare) { word.replace(bare, "…") } else { word.to_owned() }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn a_good_chain_and_what_expires_soon() {
    let files = files();
    let output = verify(&files, "chain.pem", &["--name", "www.example.com", "--time", NOW]);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let expected = "\
✓ verified for www.example.com

✓ CN=www
│   names    DNS:www.example.com
│   purpose  serverAuth
│   valid    2025-01-01 00:00:00 UTC to 2026-01-15 00:00:00 UTC, 14 days left
│   key      ECDSA P-256
│   issuer   CN=Intermediate, key id …, by ECDSA with SHA-256
│   serial   07
│   SHA-256  …
└─✓ CN=Intermediate
  │   valid    2025-01-01 00:00:00 UTC to 2030-01-01 00:00:00 UTC, 4 years left
  │   key      ECDSA P-256, key id …
  │   issuer   CN=Root, key id …, by ECDSA with SHA-256
  │   serial   …
  │   SHA-256  …
  └─✓ CN=Root (trusted)
        valid    2025-01-01 00:00:00 UTC to 2030-01-01 00:00:00 UTC, 4 years left
        key      ECDSA P-256, key id …
        issuer   itself, by ECDSA with SHA-256
        serial   …
        SHA-256  …

hint: CN=www expires in 14 days, at 2026-01-15 00:00:00 UTC. (expires-soon)
";
    assert_eq!(steady(&stdout(&output)), expected);
    // 31 days before, nobody needs to know yet.
    let early = ["--name", "www.example.com", "--time", "2025-12-15"];
    assert!(!stdout(&verify(&files, "chain.pem", &early)).contains("hint"));
}

#[test]
fn a_failure_says_where_and_what_to_do() {
    let files = files();
    let output = verify(&files, "leaf.pem", &["--name", "www.example.com", "--time", NOW]);
    assert_eq!(code(&output), 4);
    let text = stdout(&output);
    assert!(text.starts_with("✗ not verified for www.example.com: unknown-issuer\n"), "{text}");
    assert!(text.contains("\n✓ CN=www\n"), "{text}");
    assert!(text.contains("\n└─✗ unknown-issuer: no path to a trusted root"), "{text}");
    assert!(text.contains("\nhint: If CN=Intermediate (key id "), "{text}");
    assert!(text.contains("(missing-intermediate)"), "{text}");
}

#[test]
fn purpose_name_and_time_count() {
    let files = files();
    let judged = |chain, more: &[&str]| {
        let output = verify(&files, chain, &[&["--json", "--time", NOW], more].concat());
        let report = parse(&output.stdout);
        assert_eq!(report["verified"], code(&output) == 0);
        report["code"].clone()
    };
    assert_eq!(judged("chain.pem", &["--name", "www.example.com"]), Value::Null);
    assert_eq!(judged("chain.pem", &[]), Value::Null);
    assert_eq!(judged("chain.pem", &["--name", "example.com"]), json!("name-mismatch"));
    assert_eq!(judged("chain.pem", &["--client"]), json!("extended-key-usage"));
    assert_eq!(judged("client.pem", &["--client"]), Value::Null);
    assert_eq!(judged("client.pem", &[]), json!("extended-key-usage"));
    let at = |time| verify(&files, "chain.pem", &["--json", "--time", time]);
    assert_eq!(parse(&at("1768521600").stdout)["code"], "expired");
    assert_eq!(parse(&at("2024-12-31T23:59:59Z").stdout)["code"], "not-yet-valid");
}

#[test]
fn json_for_programs() {
    let files = files();
    let more = ["--name", "example.com", "--time", NOW, "--json"];
    let output = verify(&files, "chain.pem", &more);
    let mut report = parse(&output.stdout);
    let keys: Vec<_> = report.as_object().unwrap().keys().cloned().collect();
    let help = stdout(&run(&["verify", "--help"], b""));
    for key in &keys {
        assert!(help.contains(key), "--help does not tell of {key}");
    }
    let certificates = report["certificates"].take();
    for key in certificates[0].as_object().unwrap().keys() {
        assert!(help.contains(key), "--help does not tell of {key}");
    }
    assert_eq!(certificates[0]["position"], 0);
    assert_eq!(certificates[0]["not_after"], "2026-01-15T00:00:00Z");
    assert_eq!(certificates[0]["authority_key_id"], certificates[1]["subject_key_id"]);
    assert_eq!(certificates[0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(certificates[2]["is_anchor"], true);
    let reason = "the certificate is not for example.com; it is for DNS:www.example.com";
    let hint = report["hints"][0]["text"].take();
    assert!(hint.as_str().unwrap().contains("www.example.com"), "{hint}");
    let left = "CN=www expires in 14 days, at 2026-01-15 00:00:00 UTC.";
    let expected = json!({
        "verified": false,
        "code": "name-mismatch",
        "reason": reason,
        "name": "example.com",
        "time": NOW,
        "certificates": null,
        "paths": [{
            "certificates": [0, 1, 2], "at": 0, "code": "name-mismatch", "reason": reason,
        }],
        "omitted": 0,
        "faults": [{ "code": "name-mismatch", "reason": reason }],
        "notes": [],
        "hints": [
            { "code": "wrong-name", "text": null }, { "code": "expires-soon", "text": left },
        ],
    });
    assert_eq!(report, expected);
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let files = files();
    let escape = |more: &[&str]| stdout(&verify(&files, "chain.pem", more)).contains('\x1b');
    assert!(!escape(&["--time", NOW]));
    assert!(escape(&["--time", NOW, "--color", "always"]));
    assert!(!escape(&["--time", NOW, "--color", "never"]));
}

/// Whoever reads no further, as `head` does, hears no complaint, and the verdict is what it is.
#[test]
fn nobody_has_to_read_to_the_end() {
    let files = files();
    let (ca, chain) = (files.text("root.pem"), files.text("leaf.pem"));
    let mut child = tool(&["verify", "--ca", &ca, "--time", NOW, &chain]).spawn().unwrap();
    drop(child.stdout.take());
    let mut error = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut error).unwrap();
    assert_eq!((child.wait().unwrap().code(), error.len()), (Some(4), 0));
}

/// What people name in place of a chain, and how they spell what they want.
#[test]
fn files_and_names_that_are_something_else() {
    let files = files();
    let key = fs::read_to_string(files.path("server.key")).unwrap();
    let chain = fs::read_to_string(files.path("chain.pem")).unwrap();
    let ocsp = ["--ocsp", &files.text("chain.pem")];
    for (name, text, what) in [
        ("key.pem", key.as_bytes(), "it holds a private key, and no certificate"),
        ("nothing.pem", b"", "it is empty"),
        (
            "request.csr",
            b"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n",
            "it holds a certificate request",
        ),
        ("chain.p7b", &[0x30, 0x82, 1, 0, 6, 9, 0x2a][..], "this is PKCS#7"),
        ("chain.p12", &[0x30, 0x82, 1, 0, 2, 1, 3], "PKCS#12"),
    ] {
        fs::write(files.path(name), text).unwrap();
        let other = files.text(name);
        let chain = files.text("chain.pem");
        for arguments in [
            &["verify", "--ca", &files.text("root.pem"), &other][..],
            &["verify", "--ca", &other, &chain],
            &["connect", "127.0.0.1:9", "--ca", &other],
        ] {
            let output = run(arguments, b"");
            let text = stderr(&output);
            assert_eq!((code(&output), output.stdout.len()), (2, 0), "{arguments:?}: {text}");
            assert!(text.contains(&format!("{name}: ")) && text.contains(what), "{text}");
        }
    }
    let output = verify(&files, "chain.pem", &ocsp);
    assert_eq!((code(&output), stderr(&output).contains("no OCSP response")), (2, true));
    for name in ["https://www.example.com/", "www.example.com:443"] {
        let output = verify(&files, "chain.pem", &["--name", name]);
        let text = stderr(&output);
        assert!(code(&output) == 2 && text.contains("takes the host alone"), "{text}");
    }
    // A key beside the chain is no mistake of the chain's, and none that should go by without a word.
    fs::write(files.path("both.pem"), key + &chain).unwrap();
    let output = verify(&files, "both.pem", &["--time", NOW]);
    assert_eq!(code(&output), 0);
    assert!(stderr(&output).contains("both.pem holds a private key, too"), "{}", stderr(&output));
    // Nobody was asked whom it is for; nobody has said whom to trust.
    assert!(stdout(&output).starts_with("✓ verified, but whom it is for was not looked at"));
    if fs::exists("/etc/ssl/certs/ca-certificates.crt").unwrap() {
        let output = run(&["verify", &files.text("chain.pem"), "--time", NOW], b"");
        assert_eq!(code(&output), 4);
        assert!(stdout(&output).contains("The system's roots were asked. --ca FILE names others"));
    }
}

/// CRLs of the root and the intermediate, and the profile for public CAs.
#[test]
fn revocation_and_profiles() {
    let files = files();
    let judged = |more: &[&str]| {
        let output = verify(&files, "chain.pem", &[&["--json", "--time", NOW], more].concat());
        let report = parse(&output.stdout);
        assert_eq!(report["verified"], code(&output) == 0);
        report["code"].clone()
    };
    let [root, good, bad] = ["root.crl", "good.crl", "bad.crl"].map(|name| files.text(name));
    assert_eq!(judged(&["--crl", &root, "--crl", &good]), Value::Null);
    assert_eq!(judged(&["--crl", &root, "--crl", &bad]), json!("revoked"));
    assert_eq!(judged(&["--crl", &good]), json!("revocation-unknown"));
    assert_eq!(judged(&["--ocsp", &root]), json!("bad-staple"));
    let (ca, server) = (files.text("ca.pem"), files.text("server.pem"));
    let judged = |profile| {
        let arguments = ["verify", "--ca", &ca, &server, "--profile", profile, "--json"];
        parse(&run(&arguments, b"").stdout)["code"].clone()
    };
    assert_eq!((judged("default"), judged("strict")), (Value::Null, json!("profile")));
    let chain = files.text("chain.pem");
    let output = verify(&files, "chain.pem", &["--crl", &chain]);
    assert_eq!((code(&output), stderr(&output).contains("no CRL")), (2, true));
}

#[test]
fn files_and_standard_input() {
    let files = files();
    let (ca, chain) = (files.text("root.pem"), fs::read(files.path("chain.pem")).unwrap());
    let piped = ["verify", "--ca", &ca, "--time", NOW, "--name", "www.example.com", "-"];
    assert_eq!(code(&run(&piped, &chain)), 0);
    assert_eq!(code(&verify(&files, "leaf.der", &["--time", NOW])), 0, "DER, too");
    // Roots add up.
    let (other, chain) = (files.text("ca.pem"), files.text("chain.pem"));
    let both = ["verify", "--ca", &other, "--ca", &ca, "--mozilla", "--time", NOW, &chain];
    assert_eq!(code(&run(&both, b"")), 0);
    assert_eq!(code(&run(&["verify", "--ca", &other, "--time", NOW, &chain], b"")), 4);

    fs::write(files.path("empty.pem"), "").unwrap();
    fs::write(files.path("rubbish.pem"), "-----BEGIN CERTIFICATE-----\n!").unwrap();
    for (more, status) in [
        (&["/nonexistent/chain.pem"][..], 1),
        (&[&files.text("empty.pem")], 2),
        (&[&files.text("rubbish.pem")], 2),
        (&[&chain, "--name", "not a name"], 2),
        (&[&chain, "--time", "yesterday"], 2),
    ] {
        let output = run(&[&["verify", "--ca", &ca], more].concat(), b"");
        assert_eq!(code(&output), status, "{more:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}
