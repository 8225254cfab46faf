//! The application decides about keys and early data: at once, later, or not at all.

use std::sync::Arc;

use sealwire::codepoints::Alert;
use sealwire::{
    Answer, Ask, EarlyData, ExternalPsk, MemoryReplay, Misuse, PskPolicy, Question, RedeemedTicket,
    TicketKeys, Tickets, Waiting,
};

use super::support::{Calls, Pair, Role, now, seeded};
use super::{World, at, resumed};

/// The server asks about one of the two.
fn asking(seed: u64, psk: bool, early_data: bool) -> World {
    let world = World::early(seed);
    world.connect(0);
    let ask = Ask { psk, early_data, ..Ask::default() };
    World { server: world.server.clone().with_ask(ask), ..world }
}

/// The same question gets the same answer, and other questions none.
fn answered(world: &World, calls: Calls, answer: Answer) -> Pair {
    let mut pair = calls.pair(world.client.clone(), world.server.clone());
    pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
    pair.answerer = Box::new(move |role, _| {
        assert_eq!(role, Role::Server);
        Some(answer.clone())
    });
    pair
}

/// Runs until the server asks, and for a while longer: nothing more happens, whatever comes.
fn stuck(world: &World, calls: Calls, waiting: Waiting) -> Pair {
    let mut pair = answered(world, calls, Answer::UseConfig);
    pair.answerer = Box::new(|_, _| None);
    pair.pump();
    assert_eq!(pair.server.conn.waiting_for(), Some(waiting));
    assert!(pair.server.wire.is_empty(), "it spoke before it was answered");
    assert!(pair.server.early.is_empty());
    pair
}

fn go_on(mut pair: Pair, answer: &Answer) -> Pair {
    let now = pair.now;
    pair.server.answer(now, answer).unwrap();
    pair.server.drain(now);
    let mut pair = pair.connect();
    pair.chat();
    pair
}

/// The first of the client's identities, redeemed with the server's own keys.
fn redeemed(pair: &Pair, tickets: &dyn Tickets) -> Arc<RedeemedTicket> {
    let Some(Question::Psk(identities)) = &pair.server.question else {
        panic!("{:?}", pair.server.question)
    };
    assert_eq!(identities.len(), 1);
    Arc::new(tickets.redeem(&identities[0], now()).unwrap())
}

/// A server whose tickets the application looks after: configuration and keys.
fn with_keys(seed: u64) -> (World, Arc<TicketKeys>) {
    let world = World::early(seed);
    let keys = Arc::new(TicketKeys::new(&seeded(1), now()).unwrap());
    let server = world.server.clone().with_tickets(keys.clone());
    let world = World { server, ..world };
    world.connect(0);
    let ask = Ask { psk: true, ..Ask::default() };
    (World { server: world.server.clone().with_ask(ask), ..world }, keys)
}

#[test]
fn a_ticket_that_somebody_else_redeems() {
    Calls::each(|calls| {
        let (world, keys) = with_keys(450);
        let pair = stuck(&world, calls, Waiting::Psk);
        let ticket = redeemed(&pair, &*keys);
        let pair = go_on(pair, &Answer::Ticket(0, ticket));
        assert!(resumed(&pair));
        assert_eq!(pair.server.early, b"early");
    });
}

#[test]
fn a_key_that_somebody_else_looks_up() {
    Calls::each(|calls| {
        let world = World::new(451);
        let key = || Arc::new(ExternalPsk::new(b"me", &[3; 32]).unwrap());
        let client = world.client.clone().with_external_psks(vec![key()], PskPolicy::Required);
        let ask = Ask { psk: true, ..Ask::default() };
        // The configuration itself has none.
        let server = super::support::configs(451).1.with_ask(ask);
        for (index, works) in [(0, true), (1, false), (2, false), (usize::MAX, false)] {
            let mut pair = calls.pair(client.clone(), server.clone());
            pair.answerer = Box::new(move |_, question| {
                // One for each hash.
                assert!(matches!(question, Question::Psk(list) if list.len() == 2));
                Some(Answer::ExternalPsk(index, key()))
            });
            if works {
                let mut pair = pair.connect();
                pair.chat();
                assert_eq!(
                    pair.server.conn.summary().unwrap().external_psk.as_deref(),
                    Some(&b"me"[..])
                );
            } else {
                // It is not the key of that name: the server goes on without, and the client does not.
                pair.pump();
                assert!(!pair.client.conn.is_connected());
            }
        }
    });
}

#[test]
fn none_of_them() {
    Calls::each(|calls| {
        let world = asking(452, true, false);
        let pair = stuck(&world, calls, Waiting::Psk);
        let pair = go_on(pair, &Answer::NoPsk);
        assert!(!resumed(&pair));
        assert!(pair.server.early.is_empty());
    });
}

#[test]
fn as_the_configuration_has_it() {
    Calls::each(|calls| {
        for (psk, early_data) in [(true, false), (false, true), (true, true)] {
            let world = asking(453, psk, early_data);
            let mut pair = answered(&world, calls, Answer::UseConfig).connect();
            pair.chat();
            assert!(resumed(&pair));
            assert_eq!(pair.server.early, b"early");
            assert_eq!(pair.client.conn.summary().unwrap().early_data, EarlyData::Accepted);
        }
    });
}

#[test]
fn early_data_is_taken_or_declined() {
    Calls::each(|calls| {
        for (answer, taken) in [(Answer::Accept, true), (Answer::Decline, false)] {
            let world = asking(454, false, true);
            let pair = go_on(stuck(&world, calls, Waiting::EarlyData), &answer);
            assert!(resumed(&pair));
            assert_eq!(pair.server.early == b"early", taken);
            let state = if taken { EarlyData::Accepted } else { EarlyData::Rejected };
            assert_eq!(pair.client.conn.summary().unwrap().early_data, state);
        }
    });
}

/// The question names the flight: the same for a replay, another for every other.
#[test]
fn a_flight_has_a_name() {
    let world = asking(455, false, true);
    let flight = |pair: &Pair| match pair.server.question {
        Some(Question::EarlyData(flight)) => flight,
        ref other => panic!("{other:?}"),
    };
    let first = stuck(&world, Calls::PLAIN, Waiting::EarlyData);
    let other = stuck(&world, Calls::PLAIN, Waiting::EarlyData);
    assert_ne!(flight(&first), flight(&other));
    let mut again = Calls::PLAIN.pair(world.client.clone(), world.server.clone());
    again.server.inbox = first.client.wire.clone();
    again.server.drain(now());
    assert_eq!(flight(&again), flight(&first));
}

/// Tickets that several servers can redeem: the question takes the place of a store that they share.
#[test]
fn an_application_that_records_flights_itself() {
    let world = World::early(456);
    let keys = TicketKeys::new(&seeded(1), now()).unwrap();
    let _ = keys.export(now()).unwrap();
    let store = Arc::new(MemoryReplay::new(10, at(-1000)));
    let server = world.server.clone().with_tickets(Arc::new(keys)).with_early_data(store, 1000);
    let ask = Ask { early_data: true, ..Ask::default() };
    let world = World { server: server.with_ask(ask), ..world };
    assert!(!world.connect(0));
    let pair = go_on(stuck(&world, Calls::PLAIN, Waiting::EarlyData), &Answer::Accept);
    assert_eq!(pair.server.early, b"early");
    // But the private store does not become a shared one by being asked about.
    let pair = go_on(stuck(&world, Calls::PLAIN, Waiting::EarlyData), &Answer::UseConfig);
    assert!(resumed(&pair));
    assert!(pair.server.early.is_empty(), "a private store vouched for shared tickets");
}

#[test]
fn refused_by_the_application() {
    for (psk, early_data) in [(true, false), (false, true)] {
        let world = asking(457, psk, early_data);
        let alert = Alert::access_denied;
        answered(&world, Calls::PLAIN, Answer::Refuse(alert)).refuse(Role::Server, alert);
    }
}

/// An answer to another question changes nothing.
#[test]
fn answers_to_other_questions() {
    let ticket = || {
        let keys = TicketKeys::new(&seeded(1), now()).unwrap();
        let ticket = keys.issue(b"no state", now(), std::time::Duration::from_secs(9)).unwrap();
        Answer::Ticket(0, Arc::new(keys.redeem(&ticket, now()).unwrap()))
    };
    let key = || Answer::ExternalPsk(0, Arc::new(ExternalPsk::new(b"x", &[1; 32]).unwrap()));
    let cases = [
        (
            (true, false),
            Waiting::Psk,
            vec![Answer::Accept, Answer::Decline, Answer::Signature(vec![1])],
        ),
        (
            (false, true),
            Waiting::EarlyData,
            vec![ticket(), key(), Answer::NoPsk, Answer::Signature(vec![1])],
        ),
    ];
    for ((psk, early_data), waiting, answers) in cases {
        let world = asking(458, psk, early_data);
        let mut pair = stuck(&world, Calls::PLAIN, waiting);
        for answer in answers {
            let result = pair.server.answer(now(), &answer);
            assert!(matches!(result, Err(sealwire::Error::Misuse(Misuse::UnexpectedAnswer))));
            assert_eq!(pair.server.conn.waiting_for(), Some(waiting));
        }
        go_on(pair, &Answer::UseConfig);
    }
}

/// Whatever the application redeems is judged as a ticket of the configuration's own is.
#[test]
fn pitfall_28_a_ticket_that_somebody_else_redeems_wrongly() {
    let (world, keys) = with_keys(459);
    let pair = stuck(&world, Calls::PLAIN, Waiting::Psk);
    let good = redeemed(&pair, &*keys);
    for state in
        [vec![], b"no state".to_vec(), good.state[1..].to_vec(), [&good.state[..], &[0]].concat()]
    {
        let (world, _) = with_keys(459);
        let ticket = RedeemedTicket { state: state.into(), shared: false };
        let pair = stuck(&world, Calls::PLAIN, Waiting::Psk);
        let pair = go_on(pair, &Answer::Ticket(0, Arc::new(ticket)));
        assert!(!resumed(&pair));
    }
    // At an index that is not there.
    let pair = go_on(pair, &Answer::Ticket(1, good));
    assert!(!resumed(&pair));
    // The state of another ticket has another key.
    let (world, keys) = with_keys(460);
    let other = stuck(&world, Calls::PLAIN, Waiting::Psk);
    let other = redeemed(&other, &*keys);
    let mut pair = stuck(&world, Calls::PLAIN, Waiting::Psk);
    let error = pair.server.answer(now(), &Answer::Ticket(0, other)).unwrap_err();
    assert_eq!(error.alert(), Some(Alert::decrypt_error));
}

/// Later is later: a ticket that has expired meanwhile is not taken.
#[test]
fn an_answer_that_comes_too_late() {
    let (world, keys) = with_keys(461);
    let mut pair = stuck(&world, Calls::PLAIN, Waiting::Psk);
    let ticket = redeemed(&pair, &*keys);
    pair.now = at(86_400);
    let pair = go_on(pair, &Answer::Ticket(0, ticket));
    assert!(!resumed(&pair));
}
