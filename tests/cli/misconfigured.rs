//! `sealwire connect` and servers of another make that are set up wrongly: what people read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    SanType, date_time_ymd,
};

use crate::support::{Files, code, json, run, stderr};

/// `openssl s_server` with this chain and key.
struct OpenSsl {
    child: Child,
    port: String,
}

impl OpenSsl {
    fn start(files: &Files, chain: &str, key: &str) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-tls1_3"]);
        command.args(["-cipher", "DEFAULT@SECLEVEL=0"]); // It would not show a weak key otherwise.
        command.args(["-cert", chain, "-key", key, "-cert_chain", chain]);
        let command = command.current_dir(files.path("")).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ports = lines.map_while(Result::ok).filter_map(|line| {
            line.strip_prefix("ACCEPT ")?.rsplit_once(':').map(|(_, port)| port.to_owned())
        });
        let port = ports.next().expect("openssl s_server does not listen");
        Self { child, port }
    }

    /// What the tool says of it.
    fn connect(&self, files: &Files, more: &[&str]) -> Output {
        self.asked(files, "root.pem", Some("www.example.com"), more)
    }

    /// The same for another name, or by address; and with other roots.
    fn asked(&self, files: &Files, ca: &str, name: Option<&str>, more: &[&str]) -> Output {
        let (ca, target) = (files.text(ca), format!("127.0.0.1:{}", self.port));
        let name = name.map(|name| ["--servername", name]);
        let name = name.as_ref().map_or(&[][..], |name| &name[..]);
        run(&[&["connect", &target, "--ca", &ca], name, more].concat(), b"")
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Where OpenSSL 3 is not installed, nothing is tested.
fn has_openssl() -> bool {
    let version = Command::new("openssl").arg("version").output().ok();
    let version = version.map(|v| String::from_utf8_lossy(&v.stdout).into_owned());
    if !version.is_some_and(|version| version.starts_with("OpenSSL 3")) {
        eprintln!("skipped: there is no OpenSSL 3 here");
        return false;
    }
    true
}

/// Certificates as OpenSSL makes them: `root`, `ica`, and leaves. `None` where OpenSSL 3 is not installed.
fn made_by_openssl() -> Option<Files> {
    if !has_openssl() {
        return None;
    }
    let files = Files::new();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(line.split(' ')).current_dir(files.path("")).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {ec} -keyout root.key -out root.pem -days 90 -subj /CN=Root"));
    let issue = |name: &str, issuer: &str, key: &str, extensions: &str| {
        fs::write(files.path("extensions"), extensions).unwrap();
        openssl(&format!("req {key} -keyout {name}.key -out request -subj /CN={name}"));
        let hash = if name == "sha1" { "-sha1" } else { "-sha256" };
        let by = format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial {hash} -days 90");
        let with = if extensions.is_empty() { "" } else { " -extfile extensions" };
        openssl(&format!("x509 -req -in request {by}{with} -out {name}.pem"));
    };
    issue("ica", "root", ec, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
    let name = "subjectAltName=DNS:www.example.com\n";
    let at = "authorityInfoAccess=caIssuers;URI:http://ca.example/ica.cer\n";
    issue("leaf", "ica", ec, &format!("{name}{at}"));
    issue("weak", "root", "-newkey rsa:1024 -nodes", name);
    issue("old", "root", "-newkey rsa:2048 -nodes", &format!("{name}keyUsage=keyEncipherment\n"));
    issue("nameless", "root", ec, "extendedKeyUsage=serverAuth\n");
    issue("sha1", "root", ec, name);
    issue("staple", "root", ec, &format!("{name}tlsfeature=status_request\n"));
    issue("plain", "root", ec, "");
    Some(files)
}

/// The error, the tree and the first hint; and the exit status is that of a certificate that was not verified.
#[track_caller]
fn told(output: &Output, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(code(output), 4, "{text}");
    assert!(output.stdout.is_empty());
    let mut rest = text.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} there in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_server_that_forgets_its_intermediate() {
    let Some(files) = made_by_openssl() else { return };
    let server = OpenSsl::start(&files, "leaf.pem", "leaf.key");
    let output = server.connect(&files, &[]);
    let parts = [
        "error: the peer's certificate was not accepted: no path to a trusted root: the issuer of CN=leaf, which is \
         CN=ica, is neither trusted nor in the peer's chain; ",
        "\n\n✓ CN=leaf\n│   names    DNS:www.example.com\n│   valid    ",
        "\n└─✗ unknown-issuer: no path to a trusted root",
        "\n\nhint: If CN=ica (key id ",
        ") is an intermediate CA, the server has to send its certificate: the file that the server is configured with \
         must hold the whole chain, its own certificate first. That certificate is published at \
         http://ca.example/ica.cer (missing-intermediate)\n",
    ];
    told(&output, &parts);
    let report = json(&server.connect(&files, &["--json"]).stderr);
    let verdict = &report["verdict"];
    assert_eq!(verdict["code"], "unknown-issuer");
    assert_eq!(verdict["report"]["hints"][0]["code"], "missing-intermediate");
    assert_eq!(verdict["report"]["certificates"][0]["issuer"], "CN=ica");
}

#[test]
fn keys_and_usages_of_another_time() {
    let Some(files) = made_by_openssl() else { return };
    let weak = OpenSsl::start(&files, "weak.pem", "weak.key");
    let parts = [
        "\n✗ CN=weak\n",
        "\n│   ✗ weak-key: CN=weak has an RSA key of 1024 bits; 2048 are the least that counts\n└─✓ CN=Root (trusted)\n",
        "\nhint: CN=weak needs a new key: ECDSA P-256 is the usual choice",
        "(make-longer-key)\n",
    ];
    told(&weak.connect(&files, &[]), &parts);

    let old = OpenSsl::start(&files, "old.pem", "old.key");
    let parts = [
        "\n✗ CN=old\n",
        "\n    ✗ key-usage: CN=old may not be used like this: its keyUsage lacks digitalSignature\n",
        "\nhint: In TLS 1.3 the key of a certificate always signs.",
        "(needs-digital-signature)\n",
    ];
    told(&old.connect(&files, &[]), &parts);
}

/// What comes out when nothing is said of extensions, of hashes, or of what was promised.
#[test]
fn certificates_made_by_hand() {
    let Some(files) = made_by_openssl() else { return };
    let plain = OpenSsl::start(&files, "plain.pem", "plain.key");
    let parts = [
        "\n│   ✗ version: CN=plain is X.509 version 1; TLS 1.3 and every CA need version 3\n",
        "\nhint: CN=plain was made without any extension, as `openssl x509 -req` does without -extfile",
        "it has to be made again with a subjectAltName. (make-version-3)\n",
    ];
    told(&plain.connect(&files, &[]), &parts);

    let sha1 = OpenSsl::start(&files, "sha1.pem", "sha1.key");
    let parts = [
        "✗ weak-algorithm: CN=sha1 is signed with ecdsa-with-SHA1, which is too weak",
        "\nhint: The CA has to sign CN=sha1 once more, with SHA-256 or better",
        "(sign-with-sha256)\n",
    ];
    told(&sha1.connect(&files, &[]), &parts);

    let staple = OpenSsl::start(&files, "staple.pem", "staple.key");
    let parts = [
        "✗ missing-staple: CN=staple demands a stapled OCSP response (must-staple), and none was sent",
        "\nhint: Turn on OCSP stapling at the server (nginx: ssl_stapling on; ",
        "(staple-ocsp)\n",
    ];
    told(&staple.connect(&files, &[]), &parts);
}

/// A private PKI whose every certificate can be bent.
struct Pki {
    files: Files,
    root: CertifiedIssuer<'static, KeyPair>,
    ica: CertifiedIssuer<'static, KeyPair>,
}

/// Valid from 2020 to 2049, with a key identifier of its issuer.
fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn authority(common_name: &str) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(names: &[&str]) -> CertificateParams {
    let mut params = named("www");
    let dns = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
    params.subject_alt_names = names.iter().map(dns).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn root(params: CertificateParams) -> CertifiedIssuer<'static, KeyPair> {
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Pki {
    fn new() -> Self {
        let root = root(authority("Root"));
        Self { files: Files::new(), ica: Self::below(authority("Intermediate"), &root), root }
    }

    fn below(
        params: CertificateParams,
        issuer: &CertifiedIssuer<'_, KeyPair>,
    ) -> CertifiedIssuer<'static, KeyPair> {
        CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), issuer).unwrap()
    }

    /// What `connect` says of a server with this certificate, which sends these others with it.
    fn shown(&self, own: &CertifiedIssuer<'_, KeyPair>, others: &[&str], wants: &Wants) -> Output {
        fs::write(self.files.path("trusted.pem"), wants.ca.unwrap_or(&self.root.pem())).unwrap();
        fs::write(self.files.path("own.pem"), own.pem() + &others.concat()).unwrap();
        fs::write(self.files.path("own.key"), own.key().serialize_pem()).unwrap();
        let server = OpenSsl::start(&self.files, "own.pem", "own.key");
        server.asked(&self.files, "trusted.pem", wants.name, &[])
    }

    /// The same of a leaf of the intermediate.
    fn leaf_shown(&self, params: CertificateParams, wants: &Wants) -> Output {
        self.shown(&Self::below(params, &self.ica), &[&self.ica.pem()], wants)
    }
}

/// Which name is asked for, if it is not the address; and which root is trusted, if not the PKI's.
struct Wants<'a> {
    name: Option<&'a str>,
    ca: Option<&'a str>,
}

const WWW: Wants<'_> = Wants { name: Some("www.example.com"), ca: None };

#[test]
fn servers_with_the_wrong_name() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let output = pki.leaf_shown(leaf(&["mail.example.com", "www.example.org"]), &WWW);
    let parts = [
        "✗ name-mismatch: the certificate is not for www.example.com; it is for DNS:mail.example.com, DNS:www.example.org",
        "\nhint: The nearest that it has is ",
        "Is www.example.com spelt right? ",
        "(wrong-name)\n",
    ];
    told(&output, &parts);
    let output = pki.leaf_shown(
        leaf(&["*.com", "*.example.com"]),
        &Wants { name: Some("a.www.example.com"), ..WWW },
    );
    told(
        &output,
        &["\nhint: The * of *.example.com stands for exactly one label", "(wildcard-too-narrow)\n"],
    );
    let by_address = Wants { name: None, ..WWW };
    let output = pki.leaf_shown(leaf(&["www.example.com"]), &by_address);
    let parts = [
        "\nhint: Connect to www.example.com by name, or have it made again with subjectAltName=IP:127.0.0.1. (wrong-name)\n",
    ];
    told(&output, &parts);
    let output = pki.leaf_shown(leaf(&["127.0.0.1"]), &by_address);
    told(
        &output,
        &["\nhint: 127.0.0.1 is in the certificate as a DNS name", "(address-as-dns-name)\n"],
    );

    // Its own is behind an old one of the same key.
    let key = KeyPair::generate().unwrap();
    let pem = |name: &str| leaf(&[name]).signed_by(&key, &pki.ica).unwrap().pem();
    fs::write(
        pki.files.path("both.pem"),
        pem("old.example.com") + &pem("www.example.com") + &pki.ica.pem(),
    )
    .unwrap();
    fs::write(pki.files.path("both.key"), key.serialize_pem()).unwrap();
    let server = OpenSsl::start(&pki.files, "both.pem", "both.key");
    let parts = [
        "\nhint: The server sends its chain in the wrong order: CN=www, which is certificate ",
        "(leaf-not-first)\n",
    ];
    fs::write(pki.files.path("root.pem"), pki.root.pem()).unwrap();
    told(&server.connect(&pki.files, &[]), &parts);
}

#[test]
fn servers_with_the_wrong_rights() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let mut client = leaf(&["www.example.com"]);
    client.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::EmailProtection];
    let parts = [
        "\n│   purpose  clientAuth, emailProtection\n",
        "✗ extended-key-usage: CN=www may not be used like this: its extendedKeyUsage lacks serverAuth\n",
        "\nhint: CN=www is for clients (clientAuth) and mail (emailProtection), and not for servers (serverAuth): so says its \
         extendedKeyUsage. Either the server was given the wrong certificate, or its CA has to issue one with \
         extendedKeyUsage=serverAuth. (wrong-purpose)\n",
    ];
    told(&pki.leaf_shown(client, &WWW), &parts);

    // Somebody who is no CA has signed.
    let no_ca = Pki::below(named("Somebody"), &pki.root);
    let own = Pki::below(leaf(&["www.example.com"]), &no_ca);
    let parts = [
        "✗ not-a-ca: CN=Somebody is not a CA (basicConstraints), but has issued a certificate\n",
        "\nhint: Somebody has signed with the key of CN=Somebody, which has no right to issue certificates.",
        "(make-it-a-ca)\n",
    ];
    told(&pki.shown(&own, &[&no_ca.pem()], &WWW), &parts);

    let mut internal = authority("Internal CA");
    internal.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("internal.example".to_owned())],
        excluded_subtrees: vec![],
    });
    let internal = Pki::below(internal, &pki.root);
    let own = Pki::below(leaf(&["www.example.com"]), &internal);
    let parts = [
        "✗ name-constraint: CN=Internal CA may not vouch for DNS:www.example.com",
        "\nhint: CN=Internal CA was only given the right to issue for certain names",
        "(outside-constraints)\n",
    ];
    told(&pki.shown(&own, &[&internal.pem()], &WWW), &parts);
}

#[test]
fn servers_of_another_time() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let until_2024 = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(2024, 1, 1);
        params
    };
    let www = || leaf(&["www.example.com"]);
    let parts = [
        "✗ expired: CN=www expired ",
        " ago, at 2024-01-01 00:00:00 UTC; it has to be renewed\n",
        "\nhint: Whoever runs the server has to renew CN=www; if that was done, the server has not loaded the new file yet. (renew)\n",
    ];
    told(&pki.leaf_shown(until_2024(www()), &WWW), &parts);

    let old = Pki::below(until_2024(authority("Intermediate")), &pki.root);
    let parts = [
        "✗ expired: CN=Intermediate expired ",
        "\nhint: The server sends an intermediate that has expired. Its CA has a newer one",
        "(replace-intermediate)\n",
    ];
    told(&pki.shown(&Pki::below(www(), &old), &[&old.pem()], &WWW), &parts);

    let old = root(until_2024(authority("Old Root")));
    let trusted = Wants { ca: Some(&old.pem()), ..WWW };
    let parts = [
        "✗ CN=Old Root (trusted)\n",
        "\nhint: The trusted root CN=Old Root itself has expired: update the roots that are trusted here.",
        "(update-roots)\n",
    ];
    told(&pki.shown(&Pki::below(www(), &old), &[], &trusted), &parts);

    let mut early = www();
    early.not_before = date_time_ymd(2045, 1, 1);
    let parts = [
        "✗ not-yet-valid: CN=www is not valid for another ",
        "until 2045-01-01 00:00:00 UTC; is the clock right?\n",
        "\nhint: The clock here says ",
        "Most often this clock is slow",
        "(check-clock)\n",
    ];
    told(&pki.leaf_shown(early, &WWW), &parts);
}

#[test]
fn servers_of_another_root() {
    if !has_openssl() {
        return;
    }
    let pki = Pki::new();
    let www = || leaf(&["www.example.com"]);
    // The root was made anew: the same name, another key.
    let anew = root(authority("Root"));
    let parts = [
        "✗ bad-signature: the signature on CN=Intermediate is not by the key of CN=Root that is at hand",
        "\nhint: CN=Intermediate was signed by a key with the id ",
        ", and the CN=Root trusted here has a key with the id ",
        ": one name, two keys. Most often that CA was made anew.",
        "(issuer-has-another-key)\n",
    ];
    told(&pki.leaf_shown(www(), &Wants { ca: Some(&anew.pem()), ..WWW }), &parts);

    let other = root(authority("Another Root"));
    let others = Wants { ca: Some(&other.pem()), ..WWW };
    let parts = [
        "✗ self-signed: CN=Root signed itself and is not among the trusted roots",
        "\nhint: The chain is complete, but its root CN=Root is not trusted here.",
        "(untrusted-root)\n",
    ];
    let own = Pki::below(www(), &pki.ica);
    told(&pki.shown(&own, &[&pki.ica.pem(), &pki.root.pem()], &others), &parts);
    let parts = [
        "└─✗ unknown-issuer",
        "\nhint: If CN=Root (key id ",
        "(untrusted-root)\n",
        "(missing-intermediate)\n",
    ];
    told(&pki.shown(&own, &[&pki.ica.pem()], &others), &parts);
}

#[test]
fn names_that_are_not_there() {
    let Some(files) = made_by_openssl() else { return };
    let nameless = OpenSsl::start(&files, "nameless.pem", "nameless.key");
    let parts = [
        "\n│   ✗ name-mismatch: the certificate is not for www.example.com; it has no subjectAltName at all",
        "\nhint: CN=nameless says in its subject whom it is for",
        "(openssl req -addext subjectAltName=DNS:www.example.com). (no-alt-name)\n",
    ];
    told(&nameless.connect(&files, &[]), &parts);

    // The CA's own certificate in place of the server's.
    let root = OpenSsl::start(&files, "root.pem", "root.key");
    let parts = ["\n✗ CN=Root\n", "hint: CN=Root is the certificate of a CA", "(ca-as-leaf)\n"];
    told(&root.connect(&files, &[]), &parts);

    // Signed by itself, and trusted by nobody.
    fs::write(files.path("root.pem"), fs::read(files.path("ca.pem")).unwrap()).unwrap();
    let parts = ["✗ self-signed: CN=Root signed itself", "hint: The server made this certificate"];
    told(&root.connect(&files, &[]), &parts);
}
