//! One connection: what happens, in which order. The seed picks.

use sealwire::Answer;
use sealwire::codepoints::Alert;

use super::Outcome;
use super::check;
use super::end::{Body, CLIENT, End, SERVER};
use super::plan::World;
use super::random::Rand;
use super::trace::Trace;
use super::wire::{Tamper, Wire};

/// What goes wrong in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Somebody changes something in this direction, named by who sends.
    Tamper(usize, usize, Tamper),
    /// The network loses the connection, after so many steps.
    Lost(usize),
    /// The process of this end dies, after so many steps.
    Killed(usize, usize),
    /// This end's application gives up the handshake, after so many steps.
    Canceled(usize, usize),
}

impl Fault {
    fn pick(rand: &mut Rand) -> Self {
        // Mostly early, where most can go wrong.
        let latest = [10, 40, 200][rand.below(3)];
        let steps = 1 + rand.below(latest);
        let records = [4, 12][rand.below(2)];
        let who = rand.below(2);
        match rand.below(16) {
            0 => Self::Lost(steps),
            1 => Self::Killed(who, steps),
            2 => Self::Canceled(who, steps),
            3..=8 => Self::Tamper(who, rand.below(records), Tamper::pick(rand)),
            _ => Self::None,
        }
    }
}

pub struct Round<'a> {
    pub world: &'a World,
    pub ends: [End; 2],
    /// By who sends.
    pub wires: [Wire; 2],
    pub fault: Fault,
    /// Whether an application said no.
    pub refused: bool,
    key_updates: usize,
    requests: usize,
}

pub fn run(world: &World, rand: &mut Rand, trace: &mut Trace, outcome: &mut Outcome) {
    let fault = Fault::pick(rand);
    trace.note(|| format!("{fault:?}"));
    let mut room = || match rand.below(4) {
        0 => Some([0, 1, 100, 5_000][rand.below(4)]),
        _ => None,
    };
    let ends = [End::client(world, room()), End::server(world, room())];
    let tamper = |end| match fault {
        Fault::Tamper(who, record, what) if who == end => Some((record, what)),
        _ => None,
    };
    let wires = [Wire::new(tamper(CLIENT)), Wire::new(tamper(SERVER))];
    let mut round =
        Round { world, ends, wires, fault, refused: false, key_updates: 0, requests: 0 };
    let steps = [60, 150, 400][rand.below(3)];
    for step in 0..steps {
        round.step(step, rand, trace, outcome);
    }
    round.drain(rand, trace);
    for end in [CLIENT, SERVER] {
        if round.ends[end].is_alive() && round.ends[end].is_connected() {
            round.ends[end].close();
            round.send(end, rand);
        }
    }
    round.drain(rand, trace);
    for end in [CLIENT, SERVER] {
        round.wires[end].finish();
    }
    round.drain(rand, trace);
    for end in &mut round.ends {
        end.end();
    }
    check::all(&round, trace, outcome);
}

impl Round<'_> {
    /// Gives what an end has to say to the network.
    fn send(&mut self, end: usize, rand: &mut Rand) {
        let out = std::mem::take(&mut self.ends[end].out);
        self.wires[end].push(&out, rand);
    }

    /// Whether what comes to this end still comes.
    fn is_open(&self, end: usize) -> bool {
        !(self.wires[1 - end].dead && self.wires[1 - end].is_empty())
    }

    fn read(&mut self, end: usize, rand: &mut Rand, trace: &mut Trace) -> bool {
        let now = self.world.now;
        let [client, server] = &mut self.ends;
        let (this, peer) = if end == CLIENT { (client, &*server) } else { (server, &*client) };
        if !this.is_alive() {
            return false;
        }
        let moved = this.read(now, peer, trace);
        self.send(end, rand);
        moved
    }

    /// One thing happens.
    fn step(&mut self, step: usize, rand: &mut Rand, trace: &mut Trace, outcome: &mut Outcome) {
        self.fault_step(step, rand, trace);
        let end = rand.below(2);
        let action = rand.below(64);
        trace.number((end << 8 | action) as u64);
        match action {
            // The network delivers, and the application reads, most of the time.
            0..=23 => {
                let most = [1, 7, 100, 5_000, usize::MAX][rand.below(5)];
                let moved = self.wires[1 - end].deliver(most, &mut self.ends[end].inbox);
                trace.number(moved as u64);
            }
            24..=43 => while self.read(end, rand, trace) && rand.below(4) != 0 {},
            44..=47 => self.answer(end, rand, trace),
            _ if !self.ends[end].is_alive() => {}
            48..=55 => self.talk(end, rand),
            56 | 57 => {
                let this = &mut self.ends[end];
                if this.is_connected() && !this.close_sent && self.key_updates < 12 {
                    self.key_updates += 1;
                    this.update_keys(rand.below(2) == 0);
                }
            }
            58 => self.post_handshake(rand),
            59 | 60 => outcome.moved += usize::from(self.ends[end].migrate(self.world)),
            61 => {
                let movable = !self.world.post_auth && self.ends[end].question.is_none();
                if movable && self.ends[end].is_connected() && self.ends[end].split() {
                    outcome.split += 1;
                }
            }
            62 if rand.below(6) == 0 => {
                let this = &mut self.ends[end];
                if this.is_connected() && !this.close_sent {
                    trace.note(|| format!("{} closes", this.name()));
                    this.close();
                }
            }
            _ => {}
        }
        self.send(end, rand);
    }

    fn fault_step(&mut self, step: usize, rand: &mut Rand, trace: &mut Trace) {
        match self.fault {
            Fault::Lost(at) if at == step => {
                trace.note(|| "the connection is lost".to_owned());
                self.wires.iter_mut().for_each(|wire| wire.die(rand));
            }
            Fault::Killed(who, at) if at == step => {
                trace.note(|| format!("{} dies", self.ends[who].name()));
                self.ends[who].body = Body::Dead;
                self.wires[who].die(rand);
            }
            Fault::Canceled(who, at) if at == step => {
                let end = &mut self.ends[who];
                if end.is_alive() && !end.is_connected() {
                    trace.note(|| format!("{} gives up", end.name()));
                    self.refused = true;
                    end.close();
                    self.send(who, rand);
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, end: usize, rand: &mut Rand, trace: &mut Trace) {
        let this = &mut self.ends[end];
        let Some(question) = &this.question else { return };
        let refuse = rand.below(40) == 0;
        let answer = match question {
            _ if refuse => {
                self.refused = true;
                Answer::Refuse(Alert::access_denied)
            }
            question => self.world.answer(end, question, rand),
        };
        trace.note(|| format!("{} answers {answer:?}", this.name()));
        this.answer(self.world.now, &answer);
        self.send(end, rand);
    }

    /// The application has something to say.
    fn talk(&mut self, end: usize, rand: &mut Rand) {
        let this = &mut self.ends[end];
        let left = this.early_data_left();
        if left > 0 && rand.below(2) == 0 {
            let len = rand.below(left.min(3_000) + 1);
            this.write_early(&rand.bytes(len));
        } else if this.can_write() {
            let longest = [1, 50, 1_000, 1_000, 20_000][rand.below(5)];
            let len = rand.below(longest + 1);
            if this.is_connected() && rand.below(3) == 0 {
                let most = self.world.max_fragment[end];
                this.seal(&rand.bytes(len.min(most)));
            } else {
                this.write(&rand.bytes(len));
            }
        }
    }

    fn post_handshake(&mut self, rand: &mut Rand) {
        let server = &mut self.ends[SERVER];
        if server.is_connected() && !server.close_sent && self.requests < 6 {
            self.requests += 1;
            server.post_handshake(self.world.now, rand.below(2) == 0);
        }
    }

    /// Everything arrives, is read and answered, until nothing moves any more.
    fn drain(&mut self, rand: &mut Rand, trace: &mut Trace) {
        loop {
            let mut moved = false;
            for end in [CLIENT, SERVER] {
                self.send(end, rand);
                let this = &mut self.ends[end];
                moved |= self.wires[1 - end].deliver(usize::MAX, &mut this.inbox) > 0;
                while self.read(end, rand, trace) {
                    moved = true;
                }
                if self.ends[end].question.is_some() {
                    self.answer(end, rand, trace);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }
}
