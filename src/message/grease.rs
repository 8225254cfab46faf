//! GREASE (RFC 8701): values that nobody knows, offered so that peers go on to ignore what they do not know.
//!
//! Where they stand is always the same, what they are is drawn anew for each connection (RFC 8701 §5).

use crate::codepoints::{CipherSuiteId, ExtensionType, NamedGroup, ProtocolVersion};

/// The values of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grease {
    suite: u16,
    version: u16,
    group: u16,
    scheme: u16,
    protocol: u16,
    extensions: [u16; 2],
    psk_mode: u8,
}

impl Grease {
    /// From random bytes, one for each value.
    pub(crate) fn new(random: [u8; Self::RANDOM]) -> Self {
        let [suite, version, group, scheme, protocol, first, second, psk_mode] = random;
        // RFC 8701 §5: an extension is not there twice.
        let second = if first >> 4 == second >> 4 { second ^ 0x10 } else { second };
        Self {
            suite: value(suite),
            version: value(version),
            group: value(group),
            scheme: value(scheme),
            protocol: value(protocol),
            extensions: [value(first), value(second)],
            // RFC 8701 §2: 0x0b, and every 0x1f from there.
            psk_mode: 0x0b + 0x1f * (psk_mode >> 5),
        }
    }

    /// How many random bytes it takes.
    pub(crate) const RANDOM: usize = 8;

    pub(crate) fn suite(self) -> CipherSuiteId {
        CipherSuiteId(self.suite)
    }

    pub(crate) fn version(self) -> ProtocolVersion {
        ProtocolVersion(self.version)
    }

    pub(crate) fn group(self) -> NamedGroup {
        NamedGroup(self.group)
    }

    /// For `signature_algorithms`.
    pub(crate) fn scheme(self) -> u16 {
        self.scheme
    }

    /// An ALPN identifier.
    pub(crate) fn protocol(self) -> [u8; 2] {
        self.protocol.to_be_bytes()
    }

    /// Two that differ.
    pub(crate) fn extensions(self) -> [ExtensionType; 2] {
        self.extensions.map(ExtensionType)
    }

    pub(crate) fn psk_mode(self) -> u8 {
        self.psk_mode
    }

    /// Whether it is one of RFC 8701 §2, so that it cannot have been selected.
    pub(crate) fn has(value: u16) -> bool {
        let [high, low] = value.to_be_bytes();
        high == low && low & 0x0f == 0x0a
    }
}

/// RFC 8701 §2: 0x0a0a, 0x1a1a and so on.
fn value(random: u8) -> u16 {
    let byte = random & 0xf0 | 0x0a;
    u16::from_be_bytes([byte, byte])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_registry() {
        let mut modes = Vec::new();
        for random in 0..=255 {
            let grease = Grease::new([random; Grease::RANDOM]);
            assert!(Grease::has(grease.suite) && Grease::has(grease.group));
            let [first, second] = grease.extensions();
            assert!(first != second && Grease::has(first.0) && Grease::has(second.0));
            modes.push(grease.psk_mode());
        }
        modes.dedup();
        assert_eq!(modes, [0x0b, 0x2a, 0x49, 0x68, 0x87, 0xa6, 0xc5, 0xe4]);
        assert_eq!((0..=0xffff).filter(|value| Grease::has(*value)).count(), 16);
        assert!(Grease::has(0x0a0a) && Grease::has(0xfafa) && !Grease::has(0x0a1a));
    }
}
