//! What happened, as a number: two runs that differ anywhere have different ones.

pub struct Trace {
    hash: u64,
    verbose: bool,
}

impl Trace {
    pub fn new(verbose: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, verbose }
    }

    /// FNV-1a, eight bytes at a time.
    pub fn add(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
        self.number(bytes.len() as u64);
    }

    pub fn number(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    /// Says something to whoever reads along.
    pub fn note(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}", text());
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}
