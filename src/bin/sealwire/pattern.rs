//! The data of the demonstration: every position of a stream has its own byte, which both sides know.

/// A stream of bytes in which each aligned group of eight is different from every other, so that nothing can be lost,
/// doubled, moved or changed without a difference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    /// Makes one direction's stream different from the other's.
    salt: u64,
}

/// Odd, so that multiplying by it maps the numbers below 2^64 one to one. These are the golden ratio's bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Pattern {
    pub(crate) fn new(salt: u64) -> Self {
        Self { salt }
    }

    /// Writes what belongs at `position` and after it.
    pub(crate) fn fill(self, position: u64, buffer: &mut [u8]) {
        let (mut group, mut rest) = (position / 8, buffer);
        let skip = usize::try_from(position % 8).unwrap_or_default();
        if skip > 0 {
            let (head, tail) = rest.split_at_mut(rest.len().min(8 - skip));
            for (to, from) in head.iter_mut().zip(self.group(group).into_iter().skip(skip)) {
                *to = from;
            }
            (group, rest) = (group + 1, tail);
        }
        let (groups, tail) = rest.as_chunks_mut::<8>();
        for to in groups {
            *to = self.group(group);
            group += 1;
        }
        tail.iter_mut().zip(self.group(group)).for_each(|(to, from)| *to = from);
    }

    fn group(self, number: u64) -> [u8; 8] {
        (number ^ self.salt).wrapping_mul(FACTOR).to_le_bytes()
    }
}

/// Compares a received stream with the pattern, byte for byte.
#[derive(Debug)]
pub(crate) struct Checker {
    pattern: Pattern,
    position: u64,
    expected: Vec<u8>,
}

impl Checker {
    pub(crate) fn new(pattern: Pattern) -> Self {
        Self { pattern, position: 0, expected: Vec::new() }
    }

    /// How many bytes were right so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Compares what came next. `Err` is the position of the first wrong byte.
    pub(crate) fn check(&mut self, received: &[u8]) -> Result<(), u64> {
        if self.expected.len() < received.len() {
            self.expected.resize(received.len(), 0);
        }
        let expected = self.expected.get_mut(..received.len()).unwrap_or_default();
        self.pattern.fill(self.position, expected);
        if received == expected {
            self.position += length(received);
            return Ok(());
        }
        let right = received.iter().zip(expected).take_while(|(a, b)| a == b).count();
        Err(self.position + u64::try_from(right).unwrap_or(u64::MAX))
    }
}

/// The length as the number that counts a stream.
pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_gives_the_same_stream() {
        let pattern = Pattern::new(7);
        let mut whole = [0; 64];
        pattern.fill(0, &mut whole);
        for begin in 0..64 {
            for end in begin..64 {
                let mut part = vec![0; end - begin];
                pattern.fill(u64::try_from(begin).unwrap(), &mut part);
                assert_eq!(part, whole[begin..end], "{begin}..{end}");
            }
        }
    }

    #[test]
    fn no_group_comes_twice_and_directions_differ() {
        let (up, down) = (Pattern::new(0), Pattern::new(1 << 63));
        let mut seen = std::collections::HashSet::new();
        for number in 0..10_000 {
            assert!(seen.insert(up.group(number)));
            assert!(seen.insert(down.group(number)));
        }
    }

    #[test]
    fn a_wrong_byte_is_found_where_it_is() {
        let pattern = Pattern::new(3);
        let mut bytes = [0; 100];
        pattern.fill(0, &mut bytes);
        for wrong in 0..100 {
            let mut changed = bytes;
            changed[wrong] ^= 1;
            let mut checker = Checker::new(pattern);
            let result = checker.check(&changed[..33]).and_then(|()| checker.check(&changed[33..]));
            assert_eq!(result, Err(u64::try_from(wrong).unwrap()));
        }
        let mut checker = Checker::new(pattern);
        checker.check(&bytes[..33]).unwrap();
        checker.check(&bytes[33..]).unwrap();
        assert_eq!(checker.position(), 100);
        assert_eq!(checker.check(&bytes[..8]), Err(100));
    }
}
