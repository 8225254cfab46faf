//! A private key in PEM (RFC 7468 §10 and §13, RFC 1421 §4.3.2.4), decoded without leaving copies of it behind.
//!
//! [`pki_types::pem`] reads everything else. It keeps the text of a key, and the key, in buffers that it does not wipe.

use pki_types::PrivateKeyDer;
use zeroize::Zeroizing;

/// A decoded private key, wiped when dropped.
pub(crate) struct PemKey {
    form: Form,
    der: Zeroizing<Vec<u8>>,
}

/// What a label says is inside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Pkcs8,
    Sec1,
    Pkcs1,
}

impl PemKey {
    /// The first private key of `text`. `None` if there is none, it does not end, or what is in between is not base64.
    pub(crate) fn first(text: &[u8]) -> Option<Self> {
        let mut lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
        let form = lines.find_map(|line| form(line.strip_prefix(b"-----BEGIN ")?))?;
        let mut decoder = Decoder::with_room(text.len());
        for line in lines {
            if let Some(end) = line.strip_prefix(b"-----END ") {
                return Some(Self {
                    form,
                    der: decoder.finish().filter(|_| self::form(end) == Some(form))?,
                });
            }
            line.iter().try_for_each(|character| decoder.push(*character))?;
        }
        None
    }

    /// The key, borrowed.
    pub(crate) fn der(&self) -> PrivateKeyDer<'_> {
        let der = self.der.as_slice();
        match self.form {
            Form::Pkcs8 => PrivateKeyDer::Pkcs8(der.into()),
            Form::Sec1 => PrivateKeyDer::Sec1(der.into()),
            Form::Pkcs1 => PrivateKeyDer::Pkcs1(der.into()),
        }
    }
}

/// By what follows `-----BEGIN ` or `-----END `.
fn form(label: &[u8]) -> Option<Form> {
    match label {
        b"PRIVATE KEY-----" => Some(Form::Pkcs8),
        b"EC PRIVATE KEY-----" => Some(Form::Sec1),
        b"RSA PRIVATE KEY-----" => Some(Form::Pkcs1),
        _ => None,
    }
}

/// Base64 (RFC 4648 §4), a character at a time.
struct Decoder {
    out: Zeroizing<Vec<u8>>,
    /// The bits that do not make a byte yet, on the right.
    bits: u32,
    /// How many characters there were, `=` left out.
    digits: usize,
    padding: usize,
}

impl Decoder {
    /// For up to `characters`. It never grows, so no copy is left behind.
    fn with_room(characters: usize) -> Self {
        let out = Zeroizing::new(Vec::with_capacity(characters / 4 * 3 + 3));
        Self { out, bits: 0, digits: 0, padding: 0 }
    }

    fn push(&mut self, character: u8) -> Option<()> {
        if character == b'=' {
            self.padding += 1;
            return Some(());
        }
        let value = value(character).filter(|_| self.padding == 0)?;
        self.bits = (self.bits << 6) | u32::from(value);
        self.digits += 1;
        // Each digit but the first of four completes a byte, of which it leaves 4, 2 and no bits over.
        let over = match self.digits % 4 {
            1 => return Some(()),
            2 => 4,
            3 => 2,
            _ => 0,
        };
        let [.., byte] = (self.bits >> over).to_be_bytes();
        self.out.push(byte);
        self.bits &= (1 << over) - 1;
        Some(())
    }

    /// What was decoded, if it ends as it should: padded to whole fours, with no bit left over that is not zero.
    fn finish(self) -> Option<Zeroizing<Vec<u8>>> {
        let whole = (self.digits + self.padding).is_multiple_of(4) && self.padding <= 2;
        (whole && self.bits == 0 && !self.out.is_empty()).then_some(self.out)
    }
}

/// What a digit stands for: computed, because a table would tell the cache which part of it was looked at.
fn value(character: u8) -> Option<u8> {
    // All ones if `low <= character <= high`.
    let between = |low: u8, high: u8| {
        let [below, ..] = u16::from(character).wrapping_sub(u16::from(low)).to_be_bytes();
        let [above, ..] = u16::from(high).wrapping_sub(u16::from(character)).to_be_bytes();
        !(below | above)
    };
    let pick = |low: u8, high: u8, first: u8| {
        between(low, high) & character.wrapping_sub(low).wrapping_add(first)
    };
    let value = pick(b'A', b'Z', 0)
        | pick(b'a', b'z', 26)
        | pick(b'0', b'9', 52)
        | pick(b'+', b'+', 62)
        | pick(b'/', b'/', 63);
    let known = between(b'A', b'Z')
        | between(b'a', b'z')
        | between(b'0', b'9')
        | between(b'+', b'+')
        | between(b'/', b'/');
    (known != 0).then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use pki_types::pem::PemObject;
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = include_str!("../vectors/keys-test/rsa2048.pem");

    fn first(text: &str) -> Option<Vec<u8>> {
        PemKey::first(text.as_bytes()).map(|key| key.der.to_vec())
    }

    #[test]
    fn a_key_is_what_the_other_reader_says() {
        let theirs = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let ours = PemKey::first(KEY.as_bytes()).unwrap();
        assert_eq!(ours.der(), theirs);
        // With something before it and behind it, and other ends of lines.
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("text\n{certificate}{KEY}{certificate}").replace('\n', "\r\n");
        assert_eq!(PemKey::first(text.as_bytes()).unwrap().der(), theirs);
    }

    #[test]
    fn labels_say_the_form_and_both_are_the_same() {
        let pem =
            |begin: &str, end: &str| format!("-----BEGIN {begin}-----\nAAEC\n-----END {end}-----");
        let key = |label: &str| PemKey::first(pem(label, label).as_bytes());
        assert!(matches!(key("PRIVATE KEY").unwrap().der(), PrivateKeyDer::Pkcs8(_)));
        assert!(matches!(key("EC PRIVATE KEY").unwrap().der(), PrivateKeyDer::Sec1(_)));
        assert!(matches!(key("RSA PRIVATE KEY").unwrap().der(), PrivateKeyDer::Pkcs1(_)));
        for other in ["ENCRYPTED PRIVATE KEY", "PUBLIC KEY", "CERTIFICATE", ""] {
            assert!(key(other).is_none(), "{other}");
        }
        assert!(first(&pem("PRIVATE KEY", "EC PRIVATE KEY")).is_none());
        assert!(first("-----BEGIN PRIVATE KEY-----\nAAEC\n").is_none(), "no end");
    }

    #[test]
    fn what_is_not_base64_is_no_key() {
        let with = |text: &str| {
            first(&format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----"))
        };
        assert_eq!(with("AAEC").unwrap(), [0, 1, 2]);
        assert_eq!(with("AA\n EC\nAw==").unwrap(), [0, 1, 2, 3]);
        assert_eq!(with("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        for bad in
            ["", "AAE", "AAEC=", "AAECA===", "AA=C", "AAE_", "AAEC\nProc-Type: 4", "AB==", "A\0EC"]
        {
            assert!(with(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn every_character_is_a_digit_or_none() {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for character in 0..=255 {
            let place = DIGITS.iter().position(|digit| *digit == character);
            assert_eq!(value(character).map(usize::from), place, "{character}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_key_or_none(text: String, body in "[A-Za-z0-9+/=\n]{0,90}") {
            first(&text);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
            if let (Some(ours), Ok(theirs)) = (first(&pem), PrivateKeyDer::from_pem_slice(pem.as_bytes())) {
                prop_assert_eq!(&ours[..], theirs.secret_der());
            }
        }
    }
}
