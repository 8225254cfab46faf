//! Certificates as people pass them on (RFC 7468).

/// A certificate as PEM (RFC 7468).
pub(crate) fn pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let text = base64(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = tail;
    }
    pem + "-----END CERTIFICATE-----\n"
}

/// RFC 4648 §4
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |word: u32, place: u32| {
        let index = usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or_default();
        ALPHABET.get(index).copied().map_or('=', char::from)
    };
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push(digit(word, 0));
        text.push(digit(word, 1));
        text.push(if group.len() > 1 { digit(word, 2) } else { '=' });
        text.push(if group.len() > 2 { digit(word, 3) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, text) in cases {
            assert_eq!(base64(plain.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }
}
