//! Peers that are programs: started, fed, listened to, and stopped whatever happens.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The longest that one case may take.
const CASE_TIMEOUT: Duration = Duration::from_secs(20);
/// What a case says whose peer has gone without a word.
pub(crate) const HUNG_UP: &str = "the peer hung up during the handshake, without an alert";

/// One case: until when it may run, and the processes that end with it.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) deadline: Instant,
    children: Arc<Mutex<Vec<Child>>>,
}

impl Context {
    /// Runs `body`, and stops it, with its processes, when its time is up: a hang is a failure of its own case and of
    /// no other.
    ///
    /// A peer that hangs up in the handshake without an alert has met no TLS error, which it would have told: its process
    /// went. On a busy machine that has happened, once in some thousand cases, so such a case gets another try, and says
    /// so; what is wrong with us is wrong again.
    pub(crate) fn run(body: impl Fn(&Self) + Send + Sync + 'static) {
        let body = Arc::new(body);
        for last in [false, false, true] {
            let again = body.clone();
            let Err(panic) = Self::try_run(move |context| again(context)) else { return };
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            if last || !text.contains(HUNG_UP) {
                std::panic::resume_unwind(panic);
            }
            let _ = writeln!(io::stderr(), "RETRIED {}: {HUNG_UP}", thread_name());
        }
    }

    fn try_run(body: impl FnOnce(&Self) + Send + 'static) -> thread::Result<()> {
        let children = Arc::new(Mutex::new(Vec::new()));
        let context = Self { deadline: Instant::now() + CASE_TIMEOUT, children };
        let (done, is_done) = mpsc::channel::<()>();
        let inner = context.clone();
        let worker = thread::Builder::new().name(thread_name()).spawn(move || {
            let _done = done; // Dropped on return and on panic alike.
            body(&inner);
        });
        let worker = worker.unwrap();
        let grace = Duration::from_secs(3); // What waits inside says more than we could.
        let timed_out =
            is_done.recv_timeout(CASE_TIMEOUT + grace) == Err(mpsc::RecvTimeoutError::Timeout);
        context.kill();
        assert!(!timed_out, "the case hangs");
        worker.join()
    }

    fn kill(&self) {
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a program.
    pub(crate) fn start(&self, command: &mut Command) -> Peer {
        let program = command.get_program().to_string_lossy().into_owned();
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let peer = Peer {
            command: format!("{command:?}"),
            id: child.id(),
            stdin: child.stdin.take(),
            feeding: None,
            stdout: Collector::new(child.stdout.take().unwrap()),
            stderr: Collector::new(child.stderr.take().unwrap()),
            context: self.clone(),
        };
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        peer
    }

    /// Starts a server that has to be told its port, and connects to it as soon as it listens.
    pub(crate) fn start_server(&self, make: impl Fn(u16) -> Command) -> (Peer, TcpStream) {
        for _ in 0..5 {
            let port = free_port();
            let peer = self.start(&mut make(port));
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            loop {
                match TcpStream::connect(address) {
                    Ok(stream) => return (peer, stream),
                    Err(_) if peer.has_exited() => break, // Another has taken the port.
                    Err(error) => assert!(Instant::now() < self.deadline, "{address}: {error}"),
                }
                thread::sleep(Duration::from_millis(5));
            }
            eprintln!("{}", peer.log());
        }
        panic!("the peer does not stay up");
    }

    /// Listens for the peer that `make` starts with our port, and accepts its connection.
    pub(crate) fn start_client(&self, make: impl Fn(u16) -> Command) -> (Peer, TcpStream) {
        let listener = Listener::new();
        let peer = self.start(&mut make(listener.port()));
        let stream = listener.accept(self.deadline);
        (peer, stream)
    }
}

/// Our side's listening socket.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn accept(&self, deadline: Instant) -> TcpStream {
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return stream;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    assert!(Instant::now() < deadline, "the peer does not connect");
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => panic!("accept: {error}"),
            }
        }
    }
}

/// A program that is running, or has run.
pub(crate) struct Peer {
    command: String,
    id: u32,
    stdin: Option<ChildStdin>,
    feeding: Option<JoinHandle<ChildStdin>>,
    pub(crate) stdout: Collector,
    pub(crate) stderr: Collector,
    context: Context,
}

impl Peer {
    /// Writes `data` to its standard input, which stays open, in the background: some programs hang up when it ends.
    pub(crate) fn feed(&mut self, data: Vec<u8>) {
        let mut stdin = self.take_stdin();
        self.feeding = Some(thread::spawn(move || {
            let _ = stdin.write_all(&data).and_then(|()| stdin.flush());
            stdin
        }));
    }

    /// The pipe, once everything has been written.
    fn take_stdin(&mut self) -> ChildStdin {
        match self.feeding.take() {
            Some(feeding) => feeding.join().unwrap(),
            None => self.stdin.take().expect("its input has ended"),
        }
    }

    /// Ends its standard input, once everything has been written.
    pub(crate) fn end_input(&mut self) {
        drop(self.take_stdin());
    }

    /// Writes `data` to its standard input, and ends that, in the background.
    pub(crate) fn feed_all(&mut self, data: Vec<u8>) {
        let mut stdin = self.take_stdin();
        thread::spawn(move || stdin.write_all(&data));
    }

    /// Waits for the line of its standard error that starts with `label`, and returns the rest of it.
    pub(crate) fn report(&self, label: &str) -> String {
        let find = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]).to_owned();
            whole.lines().find_map(|line| line.strip_prefix(label).map(str::to_owned))
        };
        let text = self.stderr.wait_until(self.context.deadline, |bytes| find(bytes).is_some());
        find(&text).unwrap_or_else(|| panic!("the peer does not say {label}"))
    }

    /// The port that our own programs say they listen on.
    pub(crate) fn listening_port(&self) -> u16 {
        let port = self.report("LISTEN ");
        port.parse().unwrap_or_else(|_| panic!("no port: {port:?}"))
    }

    /// Waits for it to end, and says whether it was content.
    pub(crate) fn wait(&self) -> bool {
        loop {
            let status = self.with_child(|child| child.try_wait().unwrap());
            if let Some(status) = status {
                return status.success();
            }
            assert!(Instant::now() < self.context.deadline, "the peer does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn has_exited(&self) -> bool {
        self.with_child(|child| child.try_wait().unwrap()).is_some()
    }

    fn with_child<T>(&self, run: impl FnOnce(&mut Child) -> T) -> T {
        let mut children = self.context.children.lock().unwrap_or_else(PoisonError::into_inner);
        run(children.iter_mut().find(|child| child.id() == self.id).unwrap())
    }

    /// What it was and what it said, for the log of a failed case.
    fn log(&self) -> String {
        let mut log = format!("peer: {}\n", self.command);
        for (name, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let bytes = stream.so_far();
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
            let _ = writeln!(log, "its {name} ({} bytes): {text}", bytes.len());
        }
        log
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let exit = self.with_child(|child| child.try_wait());
        let _ = self.with_child(|child| child.kill().and_then(|()| child.wait()));
        if thread::panicking() {
            eprintln!("{}its exit: {exit:?}", self.log());
        }
    }
}

/// Everything that a program writes to a pipe.
#[derive(Clone)]
pub(crate) struct Collector(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collector {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let this = Self(Arc::default());
        let writer = this.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            loop {
                let count = pipe.read(&mut buffer).unwrap_or(0);
                let mut collected = writer.0.0.lock().unwrap_or_else(PoisonError::into_inner);
                collected.bytes.extend_from_slice(&buffer[..count]);
                collected.ended |= count == 0;
                writer.0.1.notify_all();
                if count == 0 {
                    break;
                }
            }
        });
        this
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> Vec<u8> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    /// Waits until `enough` says so, or the pipe's end; then everything that has come.
    pub(crate) fn wait_until(&self, deadline: Instant, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let left = deadline.saturating_duration_since(Instant::now());
        let more = |collected: &mut Collected| !collected.ended && !enough(&collected.bytes);
        let collected = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(collected, left, more);
        let (collected, result) = waited.unwrap_or_else(PoisonError::into_inner);
        let bytes = collected.bytes.clone();
        drop(collected);
        assert!(!result.timed_out(), "timed out after {} bytes of the peer", bytes.len());
        bytes
    }

    /// Waits for `count` bytes.
    pub(crate) fn wait_for(&self, deadline: Instant, count: usize) -> Vec<u8> {
        self.wait_until(deadline, |bytes| bytes.len() >= count)
    }
}

/// Whether the program `name` can be used. If not, the case is skipped, and says so past the capture of test output; or
/// fails, if SEALWIRE_REQUIRE_PEERS lists `peer`.
pub(crate) fn is_available(peer: &str, program: &str, version: &str) -> bool {
    if find(program).arg(version).stdin(Stdio::null()).output().is_ok_and(|o| o.status.success()) {
        return true;
    }
    let required = std::env::var("SEALWIRE_REQUIRE_PEERS").unwrap_or_default();
    assert!(!required.split(',').any(|p| p == peer), "{program} is required and cannot be run");
    let _ = writeln!(io::stderr(), "SKIPPED {}: {program} cannot be run", thread_name());
    false
}

/// The program, or the one that the environment names in its place: SEALWIRE_GO for `go`, and so on.
pub(crate) fn find(program: &str) -> Command {
    let variable = format!("SEALWIRE_{}", program.to_uppercase().replace('-', "_"));
    Command::new(std::env::var_os(variable).unwrap_or_else(|| program.into()))
}

/// A port that is free now, below those that the kernel gives to clients, and another one each time.
fn free_port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let start = || AtomicU16::new(u16::try_from(std::process::id() % 1000).unwrap() * 10);
    loop {
        let port = 20_000 + NEXT.get_or_init(start).fetch_add(1, Ordering::Relaxed) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn thread_name() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}
