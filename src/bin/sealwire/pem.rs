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

/// Whether there is a private key in PEM text.
pub(crate) fn has_private_key(bytes: &[u8]) -> bool {
    holds(bytes, "PRIVATE KEY-----")
}

/// Whether there is a certificate in PEM text, damaged or not.
pub(crate) fn has_certificate(bytes: &[u8]) -> bool {
    holds(bytes, "BEGIN CERTIFICATE-----")
}

/// What is in a file in which there should be certificates, and is none; and what is to be done, if that is known.
pub(crate) fn instead_of_certificates(bytes: &[u8]) -> (&'static str, Option<&'static str>) {
    const P12: &str = "For PKCS#12 (.p12, .pfx): openssl pkcs12 -in FILE -nokeys -out CHAIN.pem";
    const P7: &str = "openssl pkcs7 -in FILE -print_certs -out CHAIN.pem makes PEM of it.";
    const P7_DER: &str =
        "openssl pkcs7 -inform DER -in FILE -print_certs -out CHAIN.pem makes PEM of it.";
    match der_begins_with(bytes) {
        Some(0x02) => {
            return (
                "this is DER, and no certificate: it begins as private keys and PKCS#12 do",
                Some(P12),
            );
        }
        Some(0x06) => {
            return ("this is PKCS#7 (.p7b), and not certificates as they are", Some(P7_DER));
        }
        _ => {}
    }
    let kinds = [
        ("BEGIN PKCS7-----", "this is PKCS#7 (.p7b), and not certificates as they are", Some(P7)),
        (
            "CERTIFICATE REQUEST-----",
            "it holds a certificate request, and no certificate",
            Some("Send the request to a CA: the certificate is what comes back."),
        ),
        (
            "BEGIN TRUSTED CERTIFICATE-----",
            "it holds a certificate in a form of OpenSSL's own",
            Some("openssl x509 -in FILE -out CHAIN.pem makes an ordinary one of it."),
        ),
        ("BEGIN X509 CRL-----", "it holds a CRL, and no certificate", None),
        (
            "PRIVATE KEY-----",
            "it holds a private key, and no certificate",
            Some("The certificate is in another file, most often .crt or .pem."),
        ),
    ];
    let found = kinds.iter().find(|(label, ..)| holds(bytes, label));
    match found {
        Some((_, what, hint)) => (what, *hint),
        None if bytes.is_empty() => ("it is empty", None),
        None => ("there is no certificate in it", None),
    }
}

/// Whether this begins as a long SEQUENCE does, and no text.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x84, ..])
}

/// Whether it is DER that could be a certificate: one begins with a SEQUENCE inside.
pub(crate) fn is_der_certificate(bytes: &[u8]) -> bool {
    der_begins_with(bytes) == Some(0x30)
}

/// The tag of the first thing inside a long SEQUENCE.
fn der_begins_with(bytes: &[u8]) -> Option<u8> {
    let (length, rest) = bytes.strip_prefix(&[0x30])?.split_first()?;
    rest.get(usize::from(length.checked_sub(0x80)?)).copied().filter(|_| is_der(bytes))
}

fn holds(bytes: &[u8], label: &str) -> bool {
    bytes.windows(label.len()).any(|window| window == label.as_bytes())
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
    fn what_is_no_certificate_is_named() {
        for (bytes, what) in [
            (&b""[..], "empty"),
            (b"hello", "no certificate in it"),
            (b"-----BEGIN EC PRIVATE KEY-----\n", "private key"),
            (b"-----BEGIN NEW CERTIFICATE REQUEST-----\n", "request"),
            (b"-----BEGIN PKCS7-----\n", "PKCS#7"),
            (&[0x30, 0x82, 1, 0, 0x02, 1, 3], "PKCS#12"),
            (&[0x30, 0x81, 200, 0x06, 9], "PKCS#7"),
            (&[0x30, 0x81], "no certificate in it"),
        ] {
            let (told, _) = instead_of_certificates(bytes);
            assert!(told.contains(what), "{told}");
            assert!(!is_der_certificate(bytes));
        }
        assert!(is_der_certificate(&[0x30, 0x82, 1, 0, 0x30, 0x81]));
    }

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
