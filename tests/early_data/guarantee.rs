//! What a store promises (RFC 9846 §8): fresh, once, and nothing from before it was there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealwire::pki_types::UnixTime;
use sealwire::{
    Answer, Ask, MemoryReplay, MemoryTickets, Question, ReplayStore, SessionStore, TicketKeys,
};

use super::support::{Calls, later, seeded};
use super::{World, changed, copy, replay};

#[test]
fn pitfall_34_a_first_flight_is_taken_once() {
    let world = World::new(500);
    let session = world.session();
    let flight = world.first_flight(copy(&session), 5, b"early");
    assert_eq!(replay(&world.server, &flight, later(5)), 5);
    for seconds in [5, 6, 0, 14, 15] {
        assert_eq!(replay(&world.server, &flight, later(seconds)), 0, "after {seconds} s");
    }
    // Another flight with the same ticket is another flight; only the client keeps from using a ticket twice.
    let again = world.first_flight(session, 5, b"early");
    assert_eq!(replay(&world.server, &again, later(5)), 5);
    assert_eq!(replay(&world.server, &again, later(5)), 0);
}

#[test]
fn pitfall_34_only_what_is_fresh() {
    // The client says that its ticket is 100 s old. The server's view differs by so many seconds.
    for (differs, taken) in [(-11, 0), (-10, 5), (0, 5), (10, 5), (11, 0), (1000, 0)] {
        let world = World::new(501);
        let flight = world.first_flight(world.session(), 100, b"early");
        assert_eq!(replay(&world.server, &flight, later(100 + differs)), taken, "{differs} s");
    }
    // An age that is no age, because the number that hides it is another.
    for add in [1 << 20, u32::MAX / 2, u32::MAX - 20_000] {
        let world = World::new(502);
        let session = world.session();
        let other = changed(&session, |parts| parts.age_add = parts.age_add.wrapping_add(add));
        let flight = world.first_flight(other, 100, b"early");
        assert_eq!(replay(&world.server, &flight, later(100)), 0);
    }
}

#[test]
fn pitfall_34_nothing_from_before_a_restart() {
    let world = World::new(503);
    let flight = world.first_flight(world.session(), 100, b"early");
    assert_eq!(replay(&world.server, &flight, later(100)), 5);
    // The server starts anew at once, and has forgotten.
    for seconds in 100..=130 {
        let store = Arc::new(MemoryReplay::new(100, later(100)));
        let server = world.server.clone().with_early_data(store, 1000);
        assert_eq!(replay(&server, &flight, later(seconds)), 0, "after {seconds} s");
    }
    // Not for ever: 31 s after the start new flights are taken.
    let store = Arc::new(MemoryReplay::new(100, later(100)));
    let server = world.server.clone().with_early_data(store, 1000);
    for (seconds, taken) in [(130, 0), (131, 5)] {
        let flight = world.first_flight(world.session(), seconds, b"early");
        assert_eq!(replay(&server, &flight, later(seconds)), taken, "{seconds} s");
    }
}

/// A flight stays fresh for 20 s, and the clock may go back by 10 s: what is forgotten must not be fresh again.
#[test]
fn pitfall_34_a_clock_set_back_within_the_tolerance() {
    for ahead in 0..60 {
        for back in 0..=10 {
            let store = MemoryReplay::new(100, later(-100));
            let (first, other) = ([1; 32], [2; 32]);
            assert!(store.is_first(&first, later(0)));
            store.is_first(&other, later(ahead));
            let again = store.is_first(&first, later(ahead - back));
            assert!(!again || ahead - back > 20, "{ahead} s ahead, {back} s back");
        }
    }
    // Further back, nothing is taken until the clock has caught up.
    let store = MemoryReplay::new(100, later(-100));
    assert!(store.is_first(&[1; 32], later(1000)));
    for (i, seconds) in [0, 500, 989].into_iter().enumerate() {
        assert!(!store.is_first(&[10 + u8::try_from(i).unwrap(); 32], later(seconds)));
    }
    assert!(store.is_first(&[20; 32], later(990)));
    assert!(!store.is_first(&[1; 32], later(991)));
}

#[test]
fn pitfall_35_a_store_that_is_full_takes_nothing_more() {
    let store = MemoryReplay::new(3, later(-100));
    for i in 0..3 {
        assert!(store.is_first(&[i; 32], later(0)));
    }
    for i in 0..10 {
        assert!(!store.is_first(&[i; 32], later(20)), "{i}");
    }
    // They are forgotten when they cannot be fresh any more, one way or the other.
    assert!(!store.is_first(&[9; 32], later(31)));
    assert!(store.is_first(&[9; 32], later(32)));
    let none = MemoryReplay::new(0, later(-100));
    assert!(!none.is_first(&[1; 32], later(0)));
}

#[test]
fn a_thousand_replays_in_a_race() {
    let world = World::new(504);
    let flight = world.first_flight(world.session(), 5, b"early");
    let taken = AtomicUsize::new(0);
    let bytes = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..125 {
                    let now = replay(&world.server, &flight, later(5));
                    bytes.fetch_add(now, Ordering::SeqCst);
                    taken.fetch_add(usize::from(now > 0), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((taken.into_inner(), bytes.into_inner()), (1, 5));
}

/// Two servers that share ticket keys, and nothing else.
#[test]
fn pitfall_34_shared_tickets_need_a_shared_store() {
    let world = World::new(505);
    let keys = TicketKeys::new(world.server.provider(), later(0)).unwrap();
    let exported = keys.export(later(0)).unwrap();
    let other = TicketKeys::import(world.server.provider(), &exported).unwrap();
    let private = || Arc::new(MemoryReplay::new(100, later(-100)));
    let servers: Vec<_> = [keys, other]
        .into_iter()
        .map(|keys| {
            let server = world.server.clone().with_tickets(Arc::new(keys));
            World { server, ..world.clone() }.with_store(private())
        })
        .collect();
    let flight = servers[0].first_flight(servers[0].session(), 5, b"early");
    for server in &servers {
        assert_eq!(replay(&server.server, &flight, later(5)), 0);
    }
    // The tickets themselves are good on both.
    for server in &servers {
        world.sessions.put(servers[0].session());
        let mut pair = server.connect(Calls::PLAIN, b"early");
        pair.chat();
        let summary = pair.server.conn.summary().unwrap();
        assert!(summary.resumed && summary.early_data == sealwire::EarlyData::Rejected);
        assert!(pair.server.early.is_empty());
    }
    // With a store that both ask, one of them takes it, and only once.
    let store: Arc<dyn ReplayStore> = Arc::new(Both(MemoryReplay::new(100, later(-100))));
    let shared: Vec<_> =
        servers.into_iter().map(|server| server.with_store(store.clone()).server).collect();
    let takes: Vec<usize> =
        [1, 0, 1, 0].into_iter().map(|i: usize| replay(&shared[i], &flight, later(5))).collect();
    assert_eq!(takes, [5, 0, 0, 0]);
}

/// A store for several processes, if there were any.
#[derive(Debug)]
struct Both(MemoryReplay);

impl ReplayStore for Both {
    fn is_first(&self, flight: &[u8; 32], now: UnixTime) -> bool {
        self.0.is_first(flight, now)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// Tickets that work once protect by themselves, too: the second flight is no resumption.
#[test]
fn pitfall_34_tickets_that_work_once() {
    let world = World::new(506);
    let tickets = MemoryTickets::new(world.server.provider(), 100, 1 << 20);
    let server = world.server.clone().with_tickets(Arc::new(tickets));
    let world = World { server, ..world };
    let flight = world.first_flight(world.session(), 5, b"early");
    assert_eq!(replay(&world.server, &flight, later(5)), 5);
    assert_eq!(replay(&world.server, &flight, later(5)), 0);
}

/// The application's answer, at once or late.
#[test]
fn the_application_says_whether_it_is_the_first() {
    for (answer, taken) in
        [(Answer::Accept, true), (Answer::Decline, false), (Answer::UseConfig, true)]
    {
        Calls::each(|calls| {
            let world = World::new(507);
            world.sessions.put(world.session());
            let ask = Ask { early_data: true, ..Ask::default() };
            let server = world.server.clone().with_ask(ask);
            let mut pair = calls.pair(world.client.clone(), server);
            pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
            let answer = answer.clone();
            pair.answerer = Box::new(move |_, question| {
                assert!(matches!(question, Question::EarlyData(_)), "{question:?}");
                Some(answer.clone())
            });
            let mut pair = pair.connect();
            pair.chat();
            assert_eq!(super::told(&pair), Some(taken));
            assert_eq!(pair.server.early, if taken { &b"early"[..] } else { b"" });
        });
    }
}

/// `UseConfig` asks our own store, with what is true when the answer comes.
#[test]
fn pitfall_34_an_answer_that_comes_late_or_for_shared_tickets() {
    let ask = Ask { early_data: true, ..Ask::default() };
    for (late, taken) in [(0, 5), (10, 5), (11, 0), (3600, 0)] {
        let world = World::new(508);
        let flight = world.first_flight(world.session(), 5, b"early");
        let server = world.server.clone().with_ask(ask);
        assert_eq!(answered(&server, &flight, Answer::UseConfig, late), taken, "{late} s");
        // Who says so himself, says so.
        assert_eq!(answered(&server, &flight, Answer::Accept, late), 5);
    }
    let world = World::new(509);
    let keys = TicketKeys::new(&seeded(9), later(0)).unwrap();
    keys.export(later(0)).unwrap();
    let server = world.server.clone().with_tickets(Arc::new(keys)).with_ask(ask);
    let asking = World { server, ..world };
    let quiet = World { server: asking.server.clone().with_ask(Ask::default()), ..asking.clone() };
    let flight = asking.first_flight(quiet.session(), 5, b"early");
    assert_eq!(answered(&asking.server, &flight, Answer::UseConfig, 0), 0);
    assert_eq!(answered(&asking.server, &flight, Answer::Accept, 0), 5);
}

/// As [`replay`], with this answer so many seconds after the question.
fn answered(server: &sealwire::ServerConfig, flight: &[u8], answer: Answer, late: i64) -> usize {
    use sealwire::{Connection, Read};
    let mut conn = Connection::server(Arc::new(server.clone()));
    let (mut input, mut at, mut taken) = (flight.to_vec(), 0, 0);
    loop {
        match conn.read(later(5), &mut input[at..], &mut Vec::new()).unwrap() {
            Read::Control { used } => at += used,
            Read::Waiting => conn.answer(later(5 + late), answer.clone(), &mut Vec::new()).unwrap(),
            Read::EarlyData { used, data } => {
                taken += data.len();
                at += used;
            }
            Read::NeedMore { .. } => return taken,
            other => panic!("{other:?}"),
        }
    }
}
