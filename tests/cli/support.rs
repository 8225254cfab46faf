//! Certificates, and the tool as a child process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;

/// A directory with certificates and keys, removed in the end.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sealwire-cli-{}-{number}", std::process::id());
        let this = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&this.0).unwrap();

        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("Test CA {number}"));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(this.path("ca.pem"), authority.pem()).unwrap();
        for (file, names) in
            [("server", &["localhost", "127.0.0.1", "::1"][..]), ("client", &["client.test"])]
        {
            let key = KeyPair::generate().unwrap();
            let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
            let mut params = CertificateParams::new(names).unwrap();
            params.distinguished_name.push(DnType::CommonName, format!("<b>{file}</b>"));
            let certificate = params.signed_by(&key, &authority).unwrap();
            fs::write(this.path(&format!("{file}.pem")), certificate.pem()).unwrap();
            fs::write(this.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        this
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    pub(crate) fn text(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn tool(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealwire"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits, but not for ever: a test that hangs says so.
pub(crate) fn finish(mut child: Child) -> Output {
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let out = thread::spawn(move || drain(stdout.as_mut()));
    let err = thread::spawn(move || drain(stderr.as_mut()));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            child.wait().unwrap();
            let (out, err) = (out.join().unwrap(), err.join().unwrap());
            panic!("it hangs: {} {}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

pub(crate) fn drain(from: Option<&mut impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.read_to_end(&mut bytes).unwrap();
    }
    bytes
}

/// Runs the tool with this input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = tool(arguments).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = finish(child);
    // It may have ended without wanting its input.
    let _unread = writer.join().unwrap();
    output
}

pub(crate) fn code(output: &Output) -> i32 {
    let code = output.status.code();
    code.unwrap_or_else(|| panic!("killed: {}", String::from_utf8_lossy(&output.stderr)))
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|e| panic!("{e} in {}", String::from_utf8_lossy(bytes)))
}

pub(crate) fn stderr(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// A running `sealwire serve`.
pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(files: &Files, more: &[&str]) -> Self {
        let (cert, key) = (files.text("server.pem"), files.text("server.key"));
        let mut arguments = vec!["serve", "--cert", &cert, "--key", &key, "--json"];
        if !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(more);
        let mut child = tool(&arguments).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            panic!("it does not listen: {}", stderr(&finish(child)));
        }
        let address = json(line.as_bytes())["address"].as_str().unwrap().parse().unwrap();
        Self { child, stdout, address }
    }

    pub(crate) fn target(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// What it says of the next connection.
    pub(crate) fn connection(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        json(line.as_bytes())
    }

    /// For a server that ends by itself.
    pub(crate) fn finish(mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the server hangs");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn connect(files: &Files, target: &str, more: &[&str], input: &[u8]) -> Output {
    let ca = files.text("ca.pem");
    let mut arguments = vec!["connect", target, "--ca", &ca, "--json"];
    arguments.extend(more);
    run(&arguments, input)
}

pub(crate) fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * i + i / 251) % 256).unwrap()).collect()
}
