//! Any calls in any order on both ends of an honest transport, with outputs and buffers of any size. Whatever the order,
//! nobody breaks a rule of TLS, no byte is lost, and what was refused has changed nothing.

mod side;

use std::sync::Arc;

use sealwire::codepoints::Alert;
use sealwire::{
    Answer, CertificateError, CertificateReason, Choice, Connection, EarlyData, Error, ExternalPsk,
    Limit, MigrationKey,
};

use self::side::{Ends, Side};
use super::cheap::{provider, rewind};
use super::world::{self, Instructions, Options, now};

/// Options, then calls: the lowest bit is the side.
pub fn api(data: &[u8]) {
    let mut script = Instructions(data);
    let options = Options(script.byte().unwrap_or(0));
    let mut game = Game::new(options);
    for _ in 0..300 {
        let Some(instruction) = script.byte() else { break };
        game.call(usize::from(instruction & 1), instruction >> 1, &mut script);
        game.check();
    }
    game.settle();
    game.check();
    game.check_end();
}

/// The two sides: the client first.
struct Game {
    sides: [Side; 2],
    client: Arc<sealwire::ClientConfig>,
    server: Arc<sealwire::ServerConfig>,
    key: MigrationKey,
    /// Whether the application has given an answer that ends the handshake.
    lied: bool,
}

impl Game {
    fn new(options: Options) -> Self {
        let client = Arc::new(world::client(options).0);
        rewind();
        let server = Arc::new(world::server(options));
        let mut hello = Vec::new();
        let first = Connection::client(Arc::clone(&client), world::name(), now(), &mut hello);
        let mut sides =
            [Side::new(first.unwrap()), Side::new(Connection::server(Arc::clone(&server)))];
        sides[0].outbox = hello;
        let key = MigrationKey::new(&provider(3), &[3; 32]).unwrap();
        Self { sides, client, server, key, lied: false }
    }

    fn call(&mut self, at: usize, what: u8, script: &mut Instructions<'_>) {
        let mut number = |most: usize| script.short().unwrap_or(0) % (most + 1);
        let side = &mut self.sides[at];
        match what % 24 {
            0 | 1 => side.write(number(3000)),
            2 => {
                let (len, room) = (number(17_000), number(60));
                side.seal(len, (len + room).saturating_sub(10));
            }
            3 => side.write_early(number(300)),
            4 => side.flush(),
            5 => side.close(),
            6 | 7 => side.update_keys(what % 24 == 6),
            8 => side.export(number(300), number(9000)),
            9 => side.with_output(false, |conn, out| conn.send_ticket(now(), out)),
            10 => side.with_output(false, |conn, out| conn.request_client_certificate(out)),
            11 => drop(side.read(number(3000))),
            12 => side.read_eof(),
            13 => side.poll(),
            14 => {
                let answer = ANSWERS[number(ANSWERS.len() - 1)]();
                let lies = !matches!(
                    answer,
                    Answer::UseConfig
                        | Answer::Accept
                        | Answer::Decline
                        | Answer::Choose(_)
                        | Answer::NoPsk
                );
                self.lied |= side.answer(answer) && lies;
            }
            15 | 16 => self.deliver(at, number(3000)),
            17 | 18 => {
                self.deliver(at, usize::MAX);
                let peer = &mut self.sides[1 - at];
                while peer.read(usize::MAX) {}
            }
            19 => side.split(),
            20 => self.migrate(at),
            21 => side.look(),
            22 => side.give_up(),
            _ => side.output_size = Some(number(400)).filter(|size| *size != 400),
        }
    }

    fn deliver(&mut self, from: usize, most: usize) {
        let outbox = &mut self.sides[from].outbox;
        let piece: Vec<u8> = outbox.drain(..most.min(outbox.len())).collect();
        self.sides[1 - from].inbox.extend_from_slice(&piece);
    }

    fn migrate(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let Ends::Whole(connection) = &side.ends else { return };
        if connection.check_freeze().is_err() {
            return;
        }
        let Ends::Whole(connection) = std::mem::replace(&mut side.ends, Ends::Gone) else { return };
        let blob = connection.freeze(&self.key).expect("check_freeze says that it can be frozen");
        let thawed = match at {
            0 => Connection::thaw_client(&self.client, &self.key, &blob),
            _ => Connection::thaw_server(&self.server, &self.key, &blob),
        };
        side.ends = Ends::Whole(Box::new(thawed.unwrap()));
    }

    /// What holds after every call.
    fn check(&self) {
        for (side, peer) in [(0, 1), (1, 0)] {
            let (side, peer) = (&self.sides[side], &self.sides[peer]);
            assert!(peer.sent.starts_with(&side.received), "data that nobody has sent");
            assert!(peer.sent_early.starts_with(&side.early), "early data that nobody has sent");
            if let Some(error) = &side.error {
                self.check_error(error, side, peer);
            }
        }
    }

    /// An honest peer over an honest transport breaks no rule.
    fn check_error(&self, error: &Error, side: &Side, peer: &Side) {
        let limits = [Limit::KeyUpdates, Limit::PostHandshake, Limit::Tickets, Limit::EmptyRecords];
        let fine = match error {
            Error::Limit(limit) => limits.contains(limit),
            Error::PeerAlert(_) => peer.error.is_some(),
            Error::Refused(_) => side.closing || self.lied,
            // RFC 9846 §4.7.2: halves cannot answer, and what is thawed has not asked.
            Error::UnexpectedMessage { .. } => {
                self.sides.iter().any(|side| matches!(side.ends, Ends::Halves(..)))
            }
            _ => self.lied,
        };
        assert!(fine, "{error:?}");
    }

    /// Everything that is under way arrives, and every question is answered.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let mut moved = false;
            for at in 0..2 {
                self.sides[at].output_size = None;
                self.sides[at].flush();
                moved |= !self.sides[at].outbox.is_empty();
                self.deliver(at, usize::MAX);
                let peer = &mut self.sides[1 - at];
                moved |= peer.read(usize::MAX);
                moved |= peer.answer(Answer::UseConfig);
                peer.poll();
            }
            if !moved {
                return;
            }
        }
        panic!("they never come to rest");
    }

    fn check_end(&self) {
        let [client, server] = &self.sides;
        if self.sides.iter().any(|side| side.error.is_some() || matches!(side.ends, Ends::Gone)) {
            return;
        }
        assert!(client.is_connected() && server.is_connected(), "they have not finished");
        assert_eq!((client.times_connected, server.times_connected), (1, 1));
        assert_eq!(client.received, server.sent, "bytes were lost");
        assert_eq!(server.received, client.sent, "bytes were lost");
        assert_eq!(client.saw_close, server.closing);
        assert_eq!(server.saw_close, client.closing);
        assert_eq!(client.exported(), server.exported());
        let accepted = client.summary().early_data == EarlyData::Accepted;
        if accepted {
            assert_eq!(server.early, client.sent_early, "early bytes were lost");
        }
        // After a retry a server does not know what the first ClientHello offered.
        assert_eq!(accepted, server.summary().early_data == EarlyData::Accepted);
        assert_eq!(client.summary().resumed, server.summary().resumed);
    }
}

const ANSWERS: &[fn() -> Answer] = &[
    || Answer::UseConfig,
    || Answer::Accept,
    || Answer::Decline,
    || Answer::NoPsk,
    || Answer::Choose(Choice::default()),
    || Answer::Refuse(Alert::access_denied),
    || Answer::Signature(vec![1; 64]),
    || Answer::Reject(CertificateError::new(CertificateReason::Refused)),
    || Answer::ExternalPsk(0, Arc::new(ExternalPsk::new(b"fuzz", &[8; 32]).unwrap())),
];
