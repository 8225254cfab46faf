//! A Redis server of our own, on loopback, without files.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running `redis-server`.
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// `None` if there is no Redis here, which standard error tells; unless SEALWIRE_REQUIRE_PEERS names it.
    pub(crate) fn start() -> Option<Self> {
        if !is_available() {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Some(Self::on(port))
    }

    fn on(port: u16) -> Self {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no", "--dir", "/tmp"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let this = Self { child, port };
        let began = Instant::now();
        while ::redis::Client::open(this.url()).unwrap().get_connection().is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "redis-server does not answer");
            thread::sleep(Duration::from_millis(10));
        }
        this
    }

    /// Ends it, and starts another one at the same place: all that it knew is lost.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let next = Self::on(self.port);
        // The old one is reaped already, and what is dropped here is its empty shell.
        let _old = std::mem::replace(self, next);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn query<T: ::redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = ::redis::Client::open(self.url()).unwrap().get_connection().unwrap();
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut connection).unwrap()
    }

    /// Makes every marker two minutes older than it is, so that no test has to wait.
    pub(crate) fn age_markers(&self) {
        let markers: Vec<String> = self.query(&["KEYS", "*since:*"]);
        assert!(!markers.is_empty(), "a server that uses Redis leaves a marker when it starts");
        for marker in markers {
            let _: i64 = self.query(&["DECRBY", &marker, "120"]);
        }
    }

    /// Loses everything.
    pub(crate) fn forget(&self) {
        let _: String = self.query(&["FLUSHALL"]);
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn is_available() -> bool {
    let version = Command::new("redis-server").arg("--version").output();
    if version.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let required = std::env::var("SEALWIRE_REQUIRE_PEERS").unwrap_or_default();
    assert!(!required.split(',').any(|p| p == "redis"), "redis-server is required and not there");
    let name = thread::current().name().unwrap_or("?").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: there is no redis-server");
    false
}
