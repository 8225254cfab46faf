//! A live connection between two processes, while `openssl s_client` keeps talking: `examples/handover`, whose two
//! processes are this program, started again.
//!
//! Without OpenSSL it is skipped, unless SEALWIRE_REQUIRE_PEERS lists `openssl`; SEALWIRE_OPENSSL names another program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[cfg(unix)]
#[path = "../examples/handover/process.rs"]
mod process;

#[cfg(not(unix))]
fn main() {
    eprintln!("SKIPPED: there are no Unix sockets");
}

#[cfg(unix)]
fn main() {
    // Process A gets `--serve` in front of its arguments, process B what A gives it.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--serve", arguments @ ..] | arguments @ [process::TAKE_OVER, ..] => {
            process::run(arguments).unwrap();
        }
        // What a runner asks before it runs.
        ["--list", ..] => println!("migration_process: test"),
        _ => test::run(),
    }
}

#[cfg(unix)]
mod test {
    use std::io::{Read, Write as _};
    use std::path::Path;
    use std::process::{Child, ChildStdin, Command, Stdio};
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
    use std::thread;
    use std::time::{Duration, Instant};

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn openssl() -> Command {
        Command::new(std::env::var_os("SEALWIRE_OPENSSL").unwrap_or_else(|| "openssl".into()))
    }

    fn is_available() -> bool {
        let output = openssl().arg("version").stdin(Stdio::null()).output();
        if output.is_ok_and(|output| output.status.success()) {
            return true;
        }
        let required = std::env::var("SEALWIRE_REQUIRE_PEERS").unwrap_or_default();
        assert!(!required.split(',').any(|peer| peer == "openssl"), "openssl is required");
        eprintln!("SKIPPED migration_process: openssl cannot be run");
        false
    }

    /// A process that ends with the test.
    struct Process(Child);

    impl Process {
        fn start(command: &mut Command) -> Self {
            Self(command.stdin(Stdio::piped()).spawn().unwrap())
        }

        fn wait(&mut self) -> bool {
            let deadline = Instant::now() + TIMEOUT;
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status.success();
                }
                assert!(Instant::now() < deadline, "a process does not end");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What comes out of a pipe.
    struct Output {
        incoming: Receiver<Vec<u8>>,
        text: String,
    }

    impl Output {
        fn new(mut pipe: impl Read + Send + 'static) -> Self {
            let (sender, incoming) = channel();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                    let _ = sender.send(buffer[..n].to_vec());
                }
            });
            Self { incoming, text: String::new() }
        }

        /// Waits for a line that starts with `start`, and returns the rest of it.
        fn line(&mut self, start: &str) -> String {
            let deadline = Instant::now() + TIMEOUT;
            loop {
                let whole = &self.text[..self.text.rfind('\n').map_or(0, |at| at + 1)];
                if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(start)) {
                    return rest.to_owned();
                }
                let left = deadline.saturating_duration_since(Instant::now());
                match self.incoming.recv_timeout(left) {
                    Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                        panic!("no line {start:?} in {:?}", self.text)
                    }
                }
            }
        }
    }

    fn say(client: &mut ChildStdin, text: &str) {
        client.write_all(text.as_bytes()).unwrap();
        client.flush().unwrap();
    }

    pub(crate) fn run() {
        if !is_available() {
            return;
        }
        for suite in
            ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
        {
            for update in [false, true] {
                hand_over(suite, update);
                println!("test migration_process, {suite}, update {update} ... ok");
            }
        }
    }

    /// With `update`, the client asks for new keys before the connection moves, and again after it.
    fn hand_over(suite: &str, update: bool) {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("migration-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["server.test".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();

        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--serve").arg(&cert).arg(&key).arg("3");
        let mut server = Process::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut server_says = Output::new(server.0.stderr.take().unwrap());
        let port = server_says.line("LISTEN ");

        let mut command = openssl();
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-tls1_3"]);
        command.args(["-servername", "server.test", "-ciphersuites", suite]);
        command.arg("-CAfile").arg(&cert);
        let mut client = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut heard = Output::new(client.0.stdout.take().unwrap());
        let mut voice = client.0.stdin.take().unwrap();

        for number in 1..=3 {
            if update && number == 3 {
                say(&mut voice, "K\n"); // To s_client: change keys, and ask for the same.
                thread::sleep(Duration::from_millis(200)); // It takes one command from one read.
            }
            say(&mut voice, &format!("line {number}\n"));
            assert_eq!(heard.line(&format!("A: line {number}")), "");
        }
        server_says.line("A: handing over to process ");
        assert!(server.wait(), "process A is not content");
        assert_eq!(server_says.line("B: took over with "), suite);
        for number in 4..=9 {
            if update && number == 7 {
                say(&mut voice, "K\n");
                thread::sleep(Duration::from_millis(200));
            }
            say(&mut voice, &format!("line {number}\n"));
            assert_eq!(heard.line(&format!("B: line {number}")), "");
        }
        // It closes as it should, and hears that the other process has, too.
        assert!(!heard.text.contains(": K"), "s_client did not take it for a command");
        say(&mut voice, "Q\n");
        server_says.line("B: closed");
        assert!(client.wait(), "s_client is not content");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
