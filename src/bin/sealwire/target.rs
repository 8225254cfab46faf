//! `HOST:PORT`, and the way there.

use std::net::{Ipv6Addr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Status};

/// Tries every address of the host in turn.
pub(crate) fn dial(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Failure> {
    let addresses = (host, port).to_socket_addrs();
    let addresses = addresses.map_err(|e| Failure::io(&format!("cannot find {host}"), &e))?;
    let mut last = None;
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                // Only latency is at stake.
                let _slower = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => last = Some(Failure::io(&format!("cannot connect to {address}"), &error)),
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(Status::Io, format!("{host} has no address"))))
}

/// `host:port`, `[address]:port`, or either without the port.
pub(crate) fn split_target(target: &str) -> Result<(&str, u16), Failure> {
    let bad = || {
        Failure::usage(format!("{target:?} is not HOST:PORT"))
            .hint("For example example.org:443, 192.0.2.1:443 or [2001:db8::1]:443.")
    };
    let (host, port) = if let Some(rest) = target.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) })
    } else if target.parse::<Ipv6Addr>().is_ok() {
        (target, None)
    } else {
        target.rsplit_once(':').map_or((target, None), |(host, port)| (host, Some(port)))
    };
    let port = port.map_or(Ok(443), |port| port.parse().map_err(|_| bad()))?;
    if host.is_empty() { Err(bad()) } else { Ok((host, port)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let split = |target| split_target(target).map_err(|failure| failure.status);
        assert_eq!(split("example.org:8443"), Ok(("example.org", 8443)));
        assert_eq!(split("example.org"), Ok(("example.org", 443)));
        assert_eq!(split("[::1]:4433"), Ok(("::1", 4433)));
        assert_eq!(split("[::1]"), Ok(("::1", 443)));
        assert_eq!(split("2001:db8::1"), Ok(("2001:db8::1", 443)));
        for bad in ["", ":443", "host:", "host:http", "host:65536", "[::1", "[::1]443", "[]:1"] {
            assert_eq!(split(bad), Err(Status::Usage), "{bad}");
        }
    }
}
