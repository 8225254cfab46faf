//! `sealwire connect` and servers of another make that are set up wrongly: what people read.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

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
        let (ca, target) = (files.text("root.pem"), format!("127.0.0.1:{}", self.port));
        let name = ["--servername", "www.example.com"];
        run(&[&["connect", &target, "--ca", &ca], &name[..], more].concat(), b"")
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Certificates as OpenSSL makes them: `root`, `ica`, and leaves. `None` where OpenSSL 3 is not installed.
fn made_by_openssl() -> Option<Files> {
    let version = Command::new("openssl").arg("version").output().ok();
    let version = version.map(|v| String::from_utf8_lossy(&v.stdout).into_owned());
    if !version.is_some_and(|version| version.starts_with("OpenSSL 3")) {
        eprintln!("skipped: there is no OpenSSL 3 here");
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
        let by = format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -sha256 -days 90");
        openssl(&format!("x509 -req -in request {by} -extfile extensions -out {name}.pem"));
    };
    issue("ica", "root", ec, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
    let name = "subjectAltName=DNS:www.example.com\n";
    let at = "authorityInfoAccess=caIssuers;URI:http://ca.example/ica.cer\n";
    issue("leaf", "ica", ec, &format!("{name}{at}"));
    issue("weak", "root", "-newkey rsa:1024 -nodes", name);
    issue("old", "root", "-newkey rsa:2048 -nodes", &format!("{name}keyUsage=keyEncipherment\n"));
    issue("nameless", "root", ec, "extendedKeyUsage=serverAuth\n");
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
