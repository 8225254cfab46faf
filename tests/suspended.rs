//! Decisions that are asked of the application: each kind, both roles, answered at once, later, wrongly, or never.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "suspended/answers.rs"]
mod answers;
mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;

use sealwire::codepoints::Alert;
use sealwire::{
    Answer, Ask, CertificateError, CertificateReason, Choice, ClientAuth, ClientConfig, Connection,
    Error, Misuse, Purpose, Question, Read, ServerConfig, SignatureRequest, Verifier, Waiting,
};
use support::{Calls, Identity, Kind, Pair, Role, configs_with, now, pki, seeded};

const ALL: Ask = Ask {
    client_hello: true,
    credential: true,
    signature: true,
    verdict: true,
    psk: false,
    early_data: false,
};

/// Which side is asked what, in order, in a mutually authenticated handshake.
const QUESTIONS: [(Role, Waiting); 6] = [
    (Role::Server, Waiting::ClientHello),
    (Role::Server, Waiting::Signature),
    (Role::Client, Waiting::Verdict),
    (Role::Client, Waiting::Credential),
    (Role::Client, Waiting::Signature),
    (Role::Server, Waiting::Verdict),
];

/// Mutual authentication with Ed25519, whose signatures have no randomness.
fn mutual(seed: u64, ask: Ask) -> (ClientConfig, ServerConfig) {
    let (client, server) = configs_with(seed, Kind::Ed25519);
    let credential = pki().client(Kind::Ed25519).credential(client.provider());
    let auth = ClientAuth::Required(Verifier::new(pki().anchors()));
    let client = client.with_credentials(vec![credential]).with_ask(ask);
    (client, server.with_client_auth(auth).with_ask(ask))
}

fn waiting(question: &Question) -> Waiting {
    match question {
        Question::ClientHello(_) => Waiting::ClientHello,
        Question::Credential(_) => Waiting::Credential,
        Question::Signature(_) => Waiting::Signature,
        Question::Verdict(_) => Waiting::Verdict,
        other => panic!("{other:?}"),
    }
}

/// Answers as the configuration would, but in words.
fn spelt_out(role: Role, question: &Question) -> Answer {
    match question {
        Question::ClientHello(_) => Answer::Choose(Choice::default()),
        Question::Credential(request) => {
            let credential = pki().client(Kind::Ed25519).credential(&seeded(99));
            assert!(credential.suits(&[request.certificate_type], &request.schemes));
            assert!(credential.is_from(&[]) || !request.authorities.is_empty());
            Answer::Credential(Some(credential))
        }
        Question::Signature(request) => {
            let identity = match role {
                Role::Client => pki().client(Kind::Ed25519),
                Role::Server => pki().server(Kind::Ed25519),
            };
            Answer::Signature(sign(identity, request))
        }
        Question::Verdict(_) => Answer::Accept,
        other => panic!("{other:?}"),
    }
}

/// A signer outside of the connection.
fn sign(identity: &Identity, request: &SignatureRequest) -> Vec<u8> {
    let provider = seeded(99);
    let key = (provider.load_key)(&identity.key).unwrap();
    key.sign(request.scheme, &request.message, &*provider.rng).unwrap()
}

/// Both wires after a handshake and a little data.
fn wires(mut pair: Pair) -> (Vec<u8>, Vec<u8>) {
    pair.chat();
    (pair.client.wire, pair.server.wire)
}

fn undisturbed(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let (client, server) = mutual(seed, Ask::default());
    wires(Calls::PLAIN.pair(client, server).connect())
}

/// Lets everything happen that can, until a question stands open; which, and whose.
fn next_question(pair: &mut Pair) -> Option<(Role, Waiting)> {
    pair.pump();
    let open = |role, pair: &mut Pair| {
        let side = pair.side(role);
        let kind = side.question.as_ref().map(waiting);
        assert_eq!(side.conn.waiting_for(), kind);
        kind.map(|kind| (role, kind))
    };
    open(Role::Client, pair).or(open(Role::Server, pair))
}

/// A pair that leaves every question open.
fn parking(calls: Calls, client: ClientConfig, server: ServerConfig) -> Pair {
    let mut pair = calls.pair(client, server);
    pair.answerer = Box::new(|_, _| None);
    pair
}

/// Answers, and lets the side go on with what has arrived meanwhile.
fn answer(pair: &mut Pair, role: Role, answer: &Answer) -> Result<(), Error> {
    let result = pair.side(role).answer(now(), answer);
    if result.is_ok() {
        pair.side(role).drain(now());
    }
    result
}

#[test]
fn any_schedule_gives_the_same_bytes() {
    let plain = undisturbed(1);
    Calls::each(|calls| {
        for in_words in [false, true] {
            // At once.
            let (client, server) = mutual(1, ALL);
            let mut pair = calls.pair(client, server);
            let asked = Rc::new(RefCell::new(Vec::new()));
            let log = Rc::clone(&asked);
            pair.answerer = Box::new(move |role, question| {
                log.borrow_mut().push((role, waiting(question)));
                let answer = if in_words { spelt_out(role, question) } else { Answer::UseConfig };
                Some(answer)
            });
            assert!(wires(pair.connect()) == plain, "answered at once, {in_words}");
            assert_eq!(*asked.borrow(), QUESTIONS);

            // When nothing else can happen any more.
            let (client, server) = mutual(1, ALL);
            let mut pair = parking(calls, client, server);
            for expected in QUESTIONS {
                assert_eq!(next_question(&mut pair), Some(expected));
                let role = expected.0;
                let question = pair.side(role).question.clone().unwrap();
                let words = if in_words { spelt_out(role, &question) } else { Answer::UseConfig };
                answer(&mut pair, role, &words).unwrap();
            }
            assert_eq!(next_question(&mut pair), None);
            assert!(wires(pair.connect()) == plain, "answered later, {in_words}");
        }
    });
}

#[test]
fn nothing_is_consumed_while_an_answer_is_owed() {
    Calls::each(|calls| {
        let (client, server) = mutual(2, ALL);
        let mut pair = parking(calls, client, server);
        for (role, kind) in QUESTIONS {
            assert_eq!(next_question(&mut pair), Some((role, kind)));
            let side = pair.side(role);
            let sent = side.wire.len();
            for len in [0, 1, 5, 1000] {
                let mut input = vec![0x55; len];
                let mut out = Vec::new();
                let read = side.conn.read(now(), &mut input, &mut out).unwrap();
                assert!(matches!(read, Read::Waiting), "{read:?}");
                assert!(out.is_empty() && input.iter().all(|b| *b == 0x55));
            }
            assert_eq!(side.wire.len(), sent);
            assert_eq!(side.conn.waiting_for(), Some(kind));
            assert!(!side.conn.is_connected());
            let early = side.write(b"early");
            assert!(matches!(early, Err(Error::Misuse(Misuse::NotConnected))), "{early:?}");
            answer(&mut pair, role, &Answer::UseConfig).unwrap();
        }
        pair.connect().chat();
    });
}

/// The client is done before the server has judged it: what it sends meanwhile waits.
#[test]
fn data_that_arrives_while_the_server_judges_is_kept() {
    Calls::each(|calls| {
        let (client, server) = mutual(3, Ask::default());
        let server = server.with_ask(Ask { verdict: true, ..Ask::default() });
        let mut pair = parking(calls, client, server);
        assert_eq!(next_question(&mut pair), Some((Role::Server, Waiting::Verdict)));
        assert!(pair.client.conn.is_connected());
        let data = vec![7; 50_000];
        pair.client.write(&data).unwrap();
        pair.client.close().unwrap();
        pair.pump();
        assert!(pair.server.data.is_empty() && !pair.server.inbox.is_empty());
        answer(&mut pair, Role::Server, &Answer::Accept).unwrap();
        assert!(pair.server.data == data && pair.server.closed);
        assert_eq!(pair.server.times_connected(), 1);
    });
}

#[test]
fn answers_that_do_not_fit_change_nothing() {
    let plain = undisturbed(4);
    let rejected = || CertificateError::new(CertificateReason::Refused);
    let answers = || {
        [
            (Answer::Choose(Choice::default()), Waiting::ClientHello),
            (Answer::Signature(vec![1; 64]), Waiting::Signature),
            (Answer::Accept, Waiting::Verdict),
            (Answer::Reject(rejected()), Waiting::Verdict),
        ]
    };
    Calls::each(|calls| {
        let (client, server) = mutual(4, ALL);
        let mut pair = parking(calls, client, server);
        for (role, kind) in QUESTIONS {
            // Before there is a question, every answer is wrong.
            for (wrong, _) in answers().into_iter().chain([(Answer::UseConfig, kind)]) {
                assert_unexpected(&mut pair, role, &wrong);
            }
            assert_eq!(next_question(&mut pair), Some((role, kind)));
            for (wrong, _) in answers().into_iter().filter(|(_, fits)| *fits != kind) {
                assert_unexpected(&mut pair, role, &wrong);
                assert_eq!(pair.side(role).conn.waiting_for(), Some(kind));
            }
            answer(&mut pair, role, &Answer::UseConfig).unwrap();
            for (wrong, _) in answers() {
                assert_unexpected(&mut pair, role, &wrong);
            }
        }
        assert!(wires(pair.connect()) == plain, "a refused answer left a trace");
    });
}

/// The answer is refused, if it does not fit what the side waits for at this moment.
fn assert_unexpected(pair: &mut Pair, role: Role, wrong: &Answer) {
    let side = pair.side(role);
    let sent = side.wire.len();
    let mut out = Vec::new();
    if let Some(kind) = side.question.as_ref().map(waiting) {
        let fits = match wrong {
            Answer::Choose(_) => kind == Waiting::ClientHello,
            Answer::Signature(_) => kind == Waiting::Signature,
            Answer::Accept | Answer::Reject(_) => kind == Waiting::Verdict,
            _ => true,
        };
        if fits {
            return;
        }
    }
    let result = side.conn.answer(now(), wrong.clone(), &mut out);
    let misuse = matches!(result, Err(Error::Misuse(Misuse::UnexpectedAnswer)));
    assert!(misuse, "{role:?} took {wrong:?}: {result:?}");
    assert!(out.is_empty() && side.wire.len() == sent, "output after a wrong answer");
    assert!(side.conn.poll_event().is_none());
}

#[test]
fn every_question_can_be_refused() {
    for (at, (role, _)) in QUESTIONS.into_iter().enumerate() {
        Calls::each(|calls| {
            let (client, server) = mutual(5, ALL);
            let mut pair = parking(calls, client, server);
            for (earlier, _) in &QUESTIONS[..at] {
                next_question(&mut pair);
                answer(&mut pair, *earlier, &Answer::UseConfig).unwrap();
            }
            assert_eq!(next_question(&mut pair), Some(QUESTIONS[at]));
            let result = answer(&mut pair, role, &Answer::Refuse(Alert::access_denied));
            let refused = matches!(result, Err(Error::Refused(Alert::access_denied)));
            assert!(refused, "{result:?}");
            pair.refuse(role, Alert::access_denied);
        });
    }
}

#[test]
fn a_verdict_can_reject() {
    for (role, at) in [(Role::Client, 2), (Role::Server, 5)] {
        Calls::each(|calls| {
            let (client, server) = mutual(6, ALL);
            let mut pair = parking(calls, client, server);
            for (earlier, _) in &QUESTIONS[..at] {
                next_question(&mut pair);
                answer(&mut pair, *earlier, &Answer::UseConfig).unwrap();
            }
            next_question(&mut pair);
            let reason = CertificateError::new(CertificateReason::Refused);
            let alert = reason.alert();
            let result = answer(&mut pair, role, &Answer::Reject(reason));
            let Err(Error::Certificate(error)) = result else { panic!("{result:?}") };
            assert_eq!(error.reason, CertificateReason::Refused);
            pair.refuse(role, alert);
        });
    }
}

/// The configuration's own verdict is the same whether it is asked for or not.
#[test]
fn use_config_may_be_a_no() {
    Calls::each(|calls| {
        let (client, server) = mutual(7, Ask::default());
        let stranger = Verifier::new(pki().other_anchors());
        let client = ClientConfig::new(client.provider().clone(), stranger).unwrap();
        let mut pair = parking(calls, client.with_ask(ALL), server);
        assert_eq!(next_question(&mut pair), Some((Role::Client, Waiting::Verdict)));
        assert!(answer(&mut pair, Role::Client, &Answer::UseConfig).is_err());
        pair.refuse(Role::Client, Alert::unknown_ca);
    });
}

/// And an application may know better than the configuration.
#[test]
fn accept_overrules_the_configuration() {
    Calls::each(|calls| {
        let (client, server) = configs_with(8, Kind::P256);
        let stranger = Verifier::new(pki().other_anchors());
        let client = ClientConfig::new(client.provider().clone(), stranger).unwrap();
        let client = client.with_ask(Ask { verdict: true, ..Ask::default() });
        let mut pair = calls.pair(client, server);
        pair.answerer = Box::new(|_, _| Some(Answer::Accept));
        pair.connect().chat();
    });
}

#[test]
fn no_verdict_is_asked_for_a_client_without_certificate() {
    Calls::each(|calls| {
        let (client, server) = configs_with(13, Kind::P256);
        let auth = ClientAuth::Optional(Verifier::new(pki().anchors()));
        let server = server.with_client_auth(auth);
        let server = server.with_ask(Ask { verdict: true, ..Ask::default() });
        // The answerer of a pair panics if it is asked.
        calls.pair(client, server).connect().chat();
    });
}

#[test]
fn questions_after_a_retry() {
    Calls::each(|calls| {
        let (client, server) = mutual(14, ALL);
        let client = client.with_key_shares(&[]).unwrap();
        let mut pair = parking(calls, client, server);
        let mut asked = Vec::new();
        while let Some((role, kind)) = next_question(&mut pair) {
            asked.push((role, kind));
            answer(&mut pair, role, &Answer::UseConfig).unwrap();
        }
        // The choice is made once, for the first ClientHello.
        assert_eq!(asked, QUESTIONS);
        let pair = pair.connect();
        assert!(pair.server.conn.summary().unwrap().retried);
    });
}

/// Questions and answers travel between threads, and the verifier of the configuration works there.
#[test]
fn verdicts_from_another_thread() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Connection>();
    is_send::<Answer>();
    let (client, server) = mutual(15, Ask { verdict: true, ..Ask::default() });
    let (ask, questions) = mpsc::channel::<Question>();
    let (reply, replies) = mpsc::channel();
    let judge = client.clone();
    let thread = std::thread::spawn(move || {
        for question in questions {
            let Question::Verdict(peer) = question else { panic!("{question:?}") };
            let purpose = if peer.name.is_some() { Purpose::Server } else { Purpose::Client };
            let name = peer.name.as_ref();
            let verdict = judge.verifier().verify(
                judge.provider(),
                &peer.chain,
                purpose,
                name,
                now(),
                peer.evidence(),
            );
            let answer = match verdict {
                Ok(_) => Answer::Accept,
                Err(error) => Answer::Reject(error),
            };
            reply.send(answer).unwrap();
        }
    });
    let mut pair = calls_with_thread(client, server, ask, replies).connect();
    pair.chat();
    drop(pair);
    thread.join().unwrap();
}

fn calls_with_thread(
    client: ClientConfig,
    server: ServerConfig,
    ask: mpsc::Sender<Question>,
    replies: mpsc::Receiver<Answer>,
) -> Pair {
    let mut pair = Calls::PLAIN.pair(client, server);
    pair.answerer = Box::new(move |_, question| {
        ask.send(question.clone()).unwrap();
        Some(replies.recv().unwrap())
    });
    pair
}
