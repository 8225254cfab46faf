//! Early data is accepted once, whoever sends it how often to whichever server.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use sealwire::adapter::io::Stream;
use sealwire::adapter::redis::RedisReplay;
use sealwire::crypto::ring;
use sealwire::pki_types::{ServerName, UnixTime};
use sealwire::{ClientConfig, Connection, MemorySessions, ReplayStore, TrustAnchors, Verifier};

use crate::redis::Redis;
use crate::support::{Files, Server};

fn client(files: &Files, sessions: &Arc<MemorySessions>) -> Arc<ClientConfig> {
    let anchors = TrustAnchors::from_pem(&std::fs::read(files.path("ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::new(ring::provider(), Verifier::new(anchors)).unwrap();
    let config = config.with_alpn(&[b"http/1.1"]).unwrap();
    Arc::new(config.with_sessions(sessions.clone()).with_early_data(true))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Connects once, so that there are sessions.
fn meet(config: &Arc<ClientConfig>, address: SocketAddr) {
    let socket = TcpStream::connect(address).unwrap();
    let mut stream = Stream::client(config.clone(), name(), socket).unwrap();
    stream.write_all(GET).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
}

/// The bytes of a client's first flight: ClientHello, and a request as early data.
fn first_flight(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut flight = Vec::new();
    let mut connection =
        Connection::client(config.clone(), name(), UnixTime::now(), &mut flight).unwrap();
    connection.write_early(GET, &mut flight).unwrap();
    flight
}

/// Sends it, and waits for the server's end.
fn replay(flight: &[u8], address: SocketAddr) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may be done before we are.
    let _early = socket.write_all(flight).and_then(|()| socket.shutdown(Shutdown::Write));
    let mut rest = Vec::new();
    let _reset = socket.read_to_end(&mut rest);
}

/// What a server says of its next connections.
fn accepted(server: &mut Server, connections: usize) -> usize {
    let seen = (0..connections).map(|_| server.connection());
    seen.filter(|seen| seen["early_data"] == "accepted").count()
}

const REPLAYS: usize = 1000;
const THREADS: usize = 20;

/// Two processes, one Redis, one first flight, 1,000 times.
#[test]
fn two_servers_accept_a_first_flight_once_among_a_thousand_replays() {
    let Some(redis) = Redis::start() else { return };
    let files = Files::new();
    let (keys, url) = (files.text("ticket-keys"), redis.url());
    let more = ["--ticket-keys", &keys, "--early-data", "1000", "--anti-replay", &url];
    let mut servers = [Server::start(&files, &more), Server::start(&files, &more)];
    redis.age_markers();
    let sessions = Arc::new(MemorySessions::default());
    let config = client(&files, &sessions);
    meet(&config, servers[0].address);
    assert_eq!(accepted(&mut servers[0], 1), 0);

    let addresses = [servers[0].address, servers[1].address];
    let flight = Arc::new(first_flight(&config));
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(THREADS)));
    let began = Instant::now();
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (flight, next, start) = (flight.clone(), next.clone(), start.clone());
            thread::spawn(move || {
                start.wait();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REPLAYS {
                        break;
                    }
                    replay(&flight, addresses[number % 2]);
                }
            })
        })
        .collect();
    // Both are read at once: a server whose output nobody reads stands still.
    let counts = thread::scope(|scope| {
        let readers = servers.each_mut();
        let readers = readers.map(|server| scope.spawn(|| accepted(server, REPLAYS / 2)));
        readers.map(|reader| reader.join().unwrap())
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    eprintln!("{REPLAYS} replays in {:?}, accepted: {counts:?}", began.elapsed());
    assert_eq!(counts[0] + counts[1], 1, "{counts:?}");

    // The servers are well: another flight of the same client is accepted, by the other one.
    replay(&first_flight(&config), addresses[1]);
    assert_eq!(accepted(&mut servers[1], 1), 1);
}

/// A Redis that was restarted remembers nothing: replays are refused all the same.
#[test]
fn what_redis_forgot_is_not_accepted_again() {
    let Some(mut redis) = Redis::start() else { return };
    let files = Files::new();
    let url = redis.url();
    let mut server = Server::start(&files, &["--early-data", "1000", "--anti-replay", &url]);
    redis.age_markers();
    let config = client(&files, &Arc::default());
    meet(&config, server.address);
    let flight = first_flight(&config);
    replay(&flight, server.address);
    assert_eq!(accepted(&mut server, 2), 1);
    redis.restart();
    for _ in 0..3 {
        replay(&flight, server.address);
    }
    assert_eq!(accepted(&mut server, 3), 0);
    redis.forget();
    replay(&flight, server.address);
    assert_eq!(accepted(&mut server, 1), 0);
    drop(redis);
    replay(&flight, server.address);
    assert_eq!(accepted(&mut server, 1), 0);
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_700_000_000 + seconds))
}

/// The store itself: warm-up, single use, a restart, a clock that is set back, a marker of an earlier life.
#[test]
fn the_store_keeps_its_word() {
    let Some(mut redis) = Redis::start() else { return };
    let store = RedisReplay::new(&redis.url()).unwrap();
    let store = store.with_timeout(Duration::from_secs(5)).unwrap();
    let other = RedisReplay::new(&redis.url()).unwrap();
    let other = other.with_timeout(Duration::from_secs(5)).unwrap();
    let elsewhere = RedisReplay::new(&redis.url()).unwrap().with_prefix("another:");
    assert!(store.is_shared());
    assert!(!store.is_first(&[0; 32], at(0)), "it has just begun");
    assert!(!store.is_first(&[1; 32], at(59)), "it is warming up");
    assert!(!store.is_first(&[1; 32], at(60)), "what came during the warm-up is recorded");
    assert!(store.is_first(&[2; 32], at(60)));
    assert!(!store.is_first(&[2; 32], at(60)));
    assert!(!other.is_first(&[2; 32], at(61)), "another server");
    assert!(other.is_first(&[3; 32], at(61)));
    assert!(!elsewhere.is_first(&[4; 32], at(61)), "another prefix has a warm-up of its own");
    let ttl: i64 = redis.query(&["PTTL", &format!("sealwire:flight:{}", "03".repeat(32))]);
    assert!((50_000..=60_000).contains(&ttl), "{ttl}");
    // A clock that was set back.
    assert!(store.is_first(&[5; 32], at(200)));
    assert!(store.is_first(&[6; 32], at(190)), "clocks differ a little");
    assert!(!store.is_first(&[7; 32], at(180)));
    // A restart, with a snapshot in which the marker is, but not what came after it.
    let markers: Vec<String> = redis.query(&["KEYS", "sealwire:since:*"]);
    assert_eq!(markers.len(), 1);
    redis.restart();
    let _: String = redis.query(&["SET", &markers[0], "1600000000"]);
    assert!(!store.is_first(&[5; 32], at(201)), "nothing before the new Redis is warm");
    assert!(!store.is_first(&[8; 32], at(260)));
    assert!(store.is_first(&[9; 32], at(261)));
    // One that may forget what it was told is not used.
    let _: String = redis.query(&["CONFIG", "SET", "maxmemory", "100mb"]);
    let _: String = redis.query(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    assert!(RedisReplay::new(&redis.url()).unwrap().check(at(300)).is_err());
}

/// 20 threads and two stores ask for the same flight at the same moment, 50 times over.
#[test]
fn a_race_for_one_flight_has_one_winner() {
    let Some(redis) = Redis::start() else { return };
    let stores: Vec<_> = (0..2)
        .map(|_| {
            let store = RedisReplay::new(&redis.url()).unwrap();
            Arc::new(store.with_timeout(Duration::from_secs(10)).unwrap())
        })
        .collect();
    stores[0].check(at(0)).unwrap();
    for round in 0..50 {
        let start = Arc::new(Barrier::new(THREADS));
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let (store, start) = (stores[number % 2].clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    store.is_first(&[round; 32], at(100))
                })
            })
            .collect();
        let winners = threads.into_iter().map(|thread| usize::from(thread.join().unwrap()));
        assert_eq!(winners.sum::<usize>(), 1, "round {round}");
    }
}
