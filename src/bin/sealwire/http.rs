//! As much of HTTP/1.1 as a server of two pages needs (RFC 9112), from bytes that may be anything.

use std::io::{self, BufRead};

/// The most bytes of a request's head: request line and headers.
const MAX_HEAD: usize = 16 << 10;

/// A request that we can answer with a page or a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path, without the query.
    pub(crate) path: String,
    /// Whether another request may follow.
    pub(crate) keep_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// Why there is no request: the status to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u16);

/// What reading a request's head came to.
pub(crate) enum Head {
    /// The client has closed in between requests.
    End,
    Request(Request),
    Refused(Refusal),
}

/// Reads the head of the next request.
pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Head> {
    let mut head = Vec::new();
    loop {
        let data = stream.fill_buf()?;
        if data.is_empty() {
            let end = head.iter().all(|b| matches!(b, b'\r' | b'\n'));
            return Ok(if end { Head::End } else { Head::Refused(Refusal(400)) });
        }
        // The end may lie across two pieces.
        let seen = head.len();
        head.extend_from_slice(data);
        let taken = data.len();
        let length = end_of_head(&head, seen);
        stream.consume(length.map_or(taken, |length| length.saturating_sub(seen)));
        match length {
            Some(length) if length <= MAX_HEAD => {
                head.truncate(length);
                return Ok(parse(&head).map_or_else(Head::Refused, Head::Request));
            }
            None if head.len() <= MAX_HEAD => {}
            _ => return Ok(Head::Refused(Refusal(431))),
        }
    }
}

/// The length of the head with the empty line that ends it, of which the first `seen` bytes had none. Empty lines before
/// the request do not count (RFC 9112 §2.2).
pub(crate) fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let begin = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n'))?.max(seen.saturating_sub(3));
    let rest = bytes.get(begin..)?;
    let crlf = rest.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
    // A lone line feed ends a line too (RFC 9112 §2.2).
    let lf = rest.windows(2).position(|w| w == b"\n\n").map(|at| at + 2);
    let length = match (crlf, lf) {
        (Some(a), Some(b)) => a.min(b),
        (a, b) => a.or(b)?,
    };
    Some(begin + length)
}

fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let bad = || Refusal(400);
    let text = std::str::from_utf8(head).map_err(|_| bad())?;
    let mut lines = text.lines().skip_while(|line| line.is_empty());
    let mut parts = lines.next().ok_or_else(bad)?.split(' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let (Some(method), Some(target), Some(version), None) = (method, target, version, parts.next())
    else {
        return Err(bad());
    };
    let newest = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ if version.starts_with("HTTP/") => return Err(Refusal(505)),
        _ => return Err(bad()),
    };
    if !is_token(method) || target.is_empty() || target.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(bad());
    }

    let (mut hosts, mut keep_alive) = (0, newest);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or_else(bad)?;
        let value = value.trim_matches([' ', '\t']);
        if !is_token(name) || value.contains(|c: char| c.is_control() && c != '\t') {
            return Err(bad());
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "connection" => {
                let has =
                    |option: &str| value.split(',').any(|o| o.trim().eq_ignore_ascii_case(option));
                keep_alive = !has("close") && (keep_alive || has("keep-alive"));
            }
            // A body is not read, so what follows it cannot be told from it.
            "content-length" if value != "0" => keep_alive = false,
            "transfer-encoding" => keep_alive = false,
            _ => {}
        }
    }
    // RFC 9112 §3.2: HTTP/1.1 has exactly one Host.
    if hosts > 1 || (newest && hosts == 0) {
        return Err(bad());
    }
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    Ok(Request { method, path: path_of(target), keep_alive })
}

/// The path of `/path?query` or of `https://host/path?query` (RFC 9112 §3.2).
fn path_of(target: &str) -> String {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => target,
    };
    path.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

/// A whole response. `body` is left out, but not its length, if `with_body` says so (HEAD).
pub(crate) fn response(
    status: u16,
    content_type: &str,
    body: &str,
    with_body: bool,
    keep_alive: bool,
) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\
         Connection: {}\r\n\
         Cache-Control: no-store\r\n\
         Strict-Transport-Security: max-age=31536000\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'\r\n\
         Referrer-Policy: no-referrer\r\n\
         X-Content-Type-Options: nosniff\r\n",
        reason(status),
        body.len(),
        if keep_alive { "keep-alive" } else { "close" },
    );
    if status == 405 {
        head.push_str("Allow: GET, HEAD\r\n");
    }
    head.push_str("\r\n");
    if with_body {
        head.push_str(body);
    }
    head.into_bytes()
}

/// The words that go with a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        425 => "Too Early",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<Request, u16> {
        // One byte at a time: every cut.
        let mut stream = io::BufReader::with_capacity(1, bytes);
        match read(&mut stream).unwrap() {
            Head::Request(request) => Ok(request),
            Head::Refused(refusal) => Err(refusal.0),
            Head::End => Err(0),
        }
    }

    #[test]
    fn a_browser_asks() {
        let request =
            first(b"\r\nGET /json?x=1 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
        let expected = Request { method: Method::Get, path: "/json".into(), keep_alive: true };
        assert_eq!(request, Ok(expected));
    }

    #[test]
    fn who_keeps_the_connection() {
        let keeps = |head: &str| first(head.as_bytes()).unwrap().keep_alive;
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
        assert!(!keeps("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"));
        assert!(!keeps("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(keeps("GET http://a/ HTTP/1.1\nHost: a\n\n"));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for (head, status) in [
            ("", 0),
            ("\r\n", 0),
            ("GET / HTTP/1.1\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
            ("GET / FTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
            ("G\u{1b}T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}\n\n", 400),
        ] {
            assert_eq!(first(head.as_bytes()), Err(status), "{head:?}");
        }
        assert_eq!(first(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"), Err(400));
    }

    #[test]
    fn an_endless_head_is_refused() {
        let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
        head.resize(MAX_HEAD + 100, b'x');
        assert_eq!(first(&head), Err(431));
        head.extend_from_slice(b"\r\n\r\n");
        let mut whole = &head[..];
        assert!(matches!(read(&mut whole).unwrap(), Head::Refused(Refusal(431))));
    }

    #[test]
    fn a_second_request_stays_in_the_stream() {
        let mut stream =
            &b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\n"[..];
        let mut next = || match read(&mut stream).unwrap() {
            Head::Request(request) => Some((request.method, request.path)),
            _ => None,
        };
        assert_eq!(next(), Some((Method::Get, "/a".into())));
        assert_eq!(next(), Some((Method::Head, "/b".into())));
        assert_eq!(next(), None);
    }
}
