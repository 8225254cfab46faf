//! One direction of a connection: what TCP allows, and what somebody on the path can do.

use std::collections::VecDeque;

use super::random::Rand;

/// What somebody on the path does to one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tamper {
    /// Changes one byte: this far into the record, by this mask.
    Flip { at: u64, mask: u8 },
    /// Takes it out.
    Drop,
    /// Sends it again.
    Repeat,
    /// Sends the one behind it first.
    Swap,
    /// Cuts off its end.
    Shorten,
    /// Puts bytes of its own in front.
    Inject,
}

impl Tamper {
    pub fn pick(rand: &mut Rand) -> Self {
        match rand.below(8) {
            0 => Self::Drop,
            1 => Self::Repeat,
            2 => Self::Swap,
            3 => Self::Shorten,
            4 => Self::Inject,
            _ => {
                let mask = 1 << rand.below(8);
                Self::Flip { at: rand.next(), mask }
            }
        }
    }
}

/// Where something was tampered with.
#[derive(Clone, Copy, Debug)]
pub struct Scar {
    pub what: Tamper,
    /// How many bytes came before.
    pub position: usize,
    /// Whether the record was protected.
    pub protected: bool,
}

#[derive(Debug, Default)]
pub struct Wire {
    in_flight: VecDeque<u8>,
    /// How many bytes the far end will have got once all of it has arrived.
    total: usize,
    /// What is done, and to which record.
    tamper: Option<(usize, Tamper)>,
    records: usize,
    /// A record that has to wait for the next.
    held: Vec<u8>,
    pub scar: Option<Scar>,
    /// Nothing more gets in.
    pub dead: bool,
}

impl Wire {
    pub fn new(tamper: Option<(usize, Tamper)>) -> Self {
        Self { tamper, ..Self::default() }
    }

    /// Takes whole records.
    pub fn push(&mut self, mut bytes: &[u8], rand: &mut Rand) {
        while !bytes.is_empty() && !self.dead {
            let len = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let (record, rest) = bytes.split_at(len);
            bytes = rest;
            let number = self.records;
            self.records += 1;
            match self.tamper {
                Some((at, what)) if at == number => self.tamper_with(what, record, rand),
                _ => self.put(record),
            }
            if !self.held.is_empty() && self.tamper.is_some_and(|(at, _)| at != number) {
                let held = std::mem::take(&mut self.held);
                self.put(&held);
            }
        }
    }

    fn tamper_with(&mut self, what: Tamper, record: &[u8], rand: &mut Rand) {
        let mut position = self.total;
        let mut protected = record[0] == 23;
        match what {
            Tamper::Flip { at, mask } => {
                let mut record = record.to_vec();
                let at = usize::try_from(at % record.len() as u64).unwrap();
                record[at] ^= mask;
                // RFC 9846 §5.1: nobody looks at the version of a record in clear. A protected one authenticates it.
                self.put(&record);
            }
            Tamper::Drop => {}
            Tamper::Repeat => {
                self.put(record);
                position = self.total;
                self.put(record);
            }
            Tamper::Swap => self.held = record.to_vec(),
            Tamper::Shorten => {
                let cut = 1 + rand.below(record.len());
                self.put(&record[..record.len() - cut.min(record.len() - 1)]);
            }
            Tamper::Inject => {
                let len = 1 + rand.below(40);
                let forged = match rand.below(3) {
                    0 => rand.bytes(len),
                    1 => {
                        [&[23, 3, 3, 0, u8::try_from(len).unwrap()][..], &rand.bytes(len)].concat()
                    }
                    // An alert in clear, which counts as long as the far end has not used its keys.
                    _ => {
                        protected = false;
                        vec![21, 3, 3, 0, 2, 2, 40]
                    }
                };
                protected &= forged.len() > 5;
                self.put(&forged);
                self.put(record);
            }
        }
        self.scar = Some(Scar { what, position, protected });
    }

    fn put(&mut self, bytes: &[u8]) {
        self.in_flight.extend(bytes);
        self.total += bytes.len();
    }

    /// The connection is lost: some of what is under way still arrives.
    pub fn die(&mut self, rand: &mut Rand) {
        if !self.dead {
            let left = rand.below(self.in_flight.len() + 1);
            self.in_flight.truncate(left);
            self.held.clear();
            self.dead = true;
        }
    }

    /// The sender is done: what was held back is not held any longer.
    pub fn finish(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !self.dead && !held.is_empty() {
            // Nothing came that could have gone before it.
            self.put(&held);
            self.scar = None;
        }
        self.dead = true;
    }

    /// Up to so many bytes arrive.
    pub fn deliver(&mut self, most: usize, inbox: &mut Vec<u8>) -> usize {
        let len = most.min(self.in_flight.len());
        inbox.extend(self.in_flight.drain(..len));
        len
    }

    pub fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }
}
