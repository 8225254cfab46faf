//! Suspended decisions: whenever each question is answered, and however bytes arrive meanwhile, both sides say the same
//! bytes as if nobody had been asked. (`tests/suspended.rs` has the two plain schedules, and what is wrong with answers.)

use std::sync::{Arc, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use sealwire::pki_types::UnixTime;
use sealwire::{
    Answer, Ask, Choice, ClientAuth, ClientConfig, ExternalPsk, MemorySessions, PskPolicy,
    Question, ReplayStore, ServerConfig, Session, SessionStore, TicketKeys, Tickets, Verifier,
};

use super::cases;
use super::support::{Calls, Kind, Pair, Role, configs_with, now, pki, seeded};

/// What the two talk about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Mutual,
    /// A HelloRetryRequest, and mutual.
    Retry,
    External,
    /// A resumption with early data.
    Early,
}

const FLOWS: [Flow; 4] = [Flow::Mutual, Flow::Retry, Flow::External, Flow::Early];

const ALL: Ask = Ask {
    client_hello: true,
    credential: true,
    signature: true,
    verdict: true,
    psk: true,
    early_data: true,
};

/// Accepts every first flight: each case has one.
#[derive(Debug)]
struct Fresh;

impl ReplayStore for Fresh {
    fn is_first(&self, _: &[u8; 32], _: UnixTime) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        true
    }
}

fn external() -> Arc<ExternalPsk> {
    Arc::new(ExternalPsk::new(b"key", &[9; 32]).unwrap())
}

/// The exported ticket keys of an earlier connection, and the session that it left.
fn earlier() -> &'static (Vec<u8>, Vec<u8>) {
    static EARLIER: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    EARLIER.get_or_init(|| {
        let (client, server) = configs_with(8, Kind::Ed25519);
        let keys = TicketKeys::new(&seeded(77), now()).unwrap();
        let exported = keys.export(now()).unwrap().to_vec();
        let sessions = Arc::new(MemorySessions::default());
        // Whether a verdict is asked is part of what a session is for.
        let client = client.with_sessions(sessions.clone()).with_ask(ALL);
        let server = server.with_tickets(Arc::new(keys)).with_ask(ALL);
        let server = server.with_early_data(Arc::new(Fresh), 1000);
        let mut pair = Calls::PLAIN.pair(client, server);
        pair.answerer = Box::new(|_, _| Some(Answer::UseConfig));
        pair.pump();
        let session = sessions.drain().pop().unwrap().to_bytes().unwrap().to_vec();
        (exported, session)
    })
}

fn configs(flow: Flow) -> (ClientConfig, ServerConfig) {
    let (mut client, mut server) = configs_with(9, Kind::Ed25519);
    if matches!(flow, Flow::Mutual | Flow::Retry) {
        let credential = pki().client(Kind::Ed25519).credential(client.provider());
        client = client.with_credentials(vec![credential]);
        server = server.with_client_auth(ClientAuth::Required(Verifier::new(pki().anchors())));
    }
    match flow {
        Flow::Mutual => {}
        Flow::Retry => client = client.with_key_shares(&[]).unwrap(),
        Flow::External => {
            client = client.with_external_psks(vec![external()], PskPolicy::OrCertificate);
            server = server.with_external_psks(vec![external()], PskPolicy::OrCertificate);
        }
        Flow::Early => {
            let (keys, session) = earlier();
            let sessions = MemorySessions::default();
            sessions.put(Session::from_bytes(session).unwrap());
            client = client.with_sessions(Arc::new(sessions)).with_early_data(true);
            let keys = TicketKeys::import(server.provider(), keys).unwrap();
            server = server.with_tickets(Arc::new(keys)).with_early_data(Arc::new(Fresh), 1000);
        }
    }
    (client, server)
}

/// The answer in words, which is what the configuration would say.
fn spelt_out(role: Role, question: &Question) -> Answer {
    match question {
        Question::ClientHello(_) => Answer::Choose(Choice::default()),
        Question::Credential(_) => {
            let identity = pki().client(Kind::Ed25519);
            Answer::Credential(Some(identity.credential(&seeded(99))))
        }
        Question::Signature(request) => {
            let identity = match role {
                Role::Client => pki().client(Kind::Ed25519),
                Role::Server => pki().server(Kind::Ed25519),
            };
            let provider = seeded(99);
            let key = (provider.load_key)(&identity.key).unwrap();
            let signature = key.sign(request.scheme, &request.message, &*provider.rng);
            Answer::Signature(signature.unwrap())
        }
        Question::Verdict(_) | Question::EarlyData(_) => Answer::Accept,
        Question::Psk(identities) => {
            let keys = TicketKeys::import(&seeded(78), &earlier().0).unwrap();
            match keys.redeem(&identities[0], now()) {
                Some(redeemed) => Answer::Ticket(0, Arc::new(redeemed)),
                None => Answer::ExternalPsk(0, external()),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// A pair that has not begun, with early data on its way if there can be any.
fn start(calls: Calls, flow: Flow, ask: Ask) -> Pair {
    let (client, server) = configs(flow);
    let mut pair = calls.pair(client.with_ask(ask), server.with_ask(ask));
    if flow == Flow::Early {
        pair.client.call(|conn, out| conn.write_early(b"early", out)).unwrap();
    }
    pair
}

/// Everything that was said, after a little more was said.
fn finish(mut pair: Pair, flow: Flow) -> [Vec<u8>; 2] {
    pair.pump();
    let mut pair = pair.connect();
    pair.chat();
    assert_eq!(pair.server.early == b"early", flow == Flow::Early);
    [pair.client.wire, pair.server.wire]
}

/// What both say if the configuration decides everything at once. A session is for one way of judging, so that one that is
/// asked about is needed where one is resumed.
fn undisturbed(flow: Flow) -> &'static [Vec<u8>; 2] {
    static WIRES: [OnceLock<[Vec<u8>; 2]>; 4] = [const { OnceLock::new() }; 4];
    let at = FLOWS.iter().position(|each| *each == flow).unwrap();
    WIRES[at].get_or_init(|| {
        let ask = if flow == Flow::Early { ALL } else { Ask::default() };
        let mut pair = start(Calls::PLAIN, flow, ask);
        pair.answerer = Box::new(|_, _| Some(Answer::UseConfig));
        finish(pair, flow)
    })
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A piece from this side arrives.
    Deliver(Role),
    /// The open question of this side is answered: in words, or with a word.
    Answer(Role, bool),
    /// Somebody looks.
    Read(Role),
}

fn step() -> impl Strategy<Value = Step> {
    let role = prop::sample::select(&Role::BOTH[..]);
    prop_oneof![
        4 => role.clone().prop_map(Step::Deliver),
        1 => (role.clone(), any::<bool>()).prop_map(|(role, words)| Step::Answer(role, words)),
        1 => role.prop_map(Step::Read),
    ]
}

fn answer(pair: &mut Pair, role: Role, in_words: bool) {
    let side = pair.side(role);
    let Some(question) = side.question.clone() else { return };
    let answer = if in_words { spelt_out(role, &question) } else { Answer::UseConfig };
    side.answer(now(), &answer).unwrap();
    side.drain(now());
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn any_schedule_gives_the_same_bytes(
        flow in prop::sample::select(&FLOWS[..]), which in 0..Calls::ALL.len(), seed: u64,
        steps in vec(step(), 0..120),
    ) {
        let expected = undisturbed(flow);
        let calls = Calls { transport: super::support::Transport::Cuts(seed), ..Calls::ALL[which] };
        let mut pair = start(calls, flow, ALL);
        pair.answerer = Box::new(|_, _| None);
        for step in steps {
            match step {
                Step::Deliver(role) => drop(pair.deliver(role)),
                Step::Answer(role, in_words) => answer(&mut pair, role, in_words),
                Step::Read(role) => pair.side(role).drain(now()),
            }
            for role in Role::BOTH {
                let side = pair.side(role);
                prop_assert!(side.error.is_none(), "{:?}", side.error);
                // Nothing is said that would not have been said.
                prop_assert!(expected[usize::from(role == Role::Server)].starts_with(&side.wire));
            }
        }
        pair.answerer = Box::new(|role, question| Some(spelt_out(role, question)));
        prop_assert!(finish(pair, flow) == *expected, "other bytes");
    }
}
