//! One case of x509-limbo's schema, and what Sealwire says to it.

use std::net::IpAddr;
use std::time::Duration;

use sealwire::crypto::Provider;
use sealwire::pki_types::pem::PemObject;
use sealwire::pki_types::{
    CertificateDer, CertificateRevocationListDer, DnsName, ServerName, UnixTime,
};
use sealwire::{Crls, Evidence, Profile, Purpose, Revocation, TrustAnchors, Verifier};
use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// With the code of the reason, and its text.
    Failure(String),
    /// It asks for something that a verifier of TLS peers does not do, or it does not parse; and what that is.
    Skipped(String),
}

impl Outcome {
    /// As the schema of results has it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure(_) => "FAILURE",
            Self::Skipped(_) => "SKIPPED",
        }
    }

    pub(crate) fn context(&self) -> Option<&str> {
        match self {
            Self::Success => None,
            Self::Failure(context) | Self::Skipped(context) => Some(context),
        }
    }
}

/// Runs one case. `now` counts where it names no time.
pub(crate) fn run(case: &Value, provider: &Provider, profile: Profile, now: UnixTime) -> Outcome {
    match read_and_judge(case, provider, profile, now) {
        Ok(()) => Outcome::Success,
        Err(outcome) => outcome,
    }
}

fn read_and_judge(
    case: &Value,
    provider: &Provider,
    profile: Profile,
    now: UnixTime,
) -> Result<(), Outcome> {
    let roots = texts(case, "trusted_certs")?;
    let anchors = TrustAnchors::from_certificates(roots.into_iter().filter_map(certificate));
    let mut verifier = Verifier::new(anchors).with_profile(profile);
    if let Some(depth) = optional(case, "max_chain_depth") {
        let depth = depth.as_u64().ok_or_else(|| bad("max_chain_depth"))?;
        verifier = verifier.with_max_depth(usize::try_from(depth).unwrap_or(usize::MAX));
    }
    let lists = texts(case, "crls")?;
    if !lists.is_empty() {
        // A list that cannot be used covers nobody, and so refuses everybody whom no other covers.
        let lists = lists.iter().filter_map(|pem| crl(pem));
        let usable: Vec<_> = lists.filter(|crl| Crls::from_der([crl.clone()]).is_ok()).collect();
        let crls = Crls::from_der(usable).map_err(|error| Outcome::Skipped(error.to_string()))?;
        verifier = verifier.with_revocation(Revocation::hard_fail().with_crls(crls));
    }
    let now = match optional(case, "validation_time") {
        None => now,
        Some(time) => time.as_str().and_then(unix_time).ok_or_else(|| bad("validation_time"))?,
    };
    let purposes = purposes(case)?;
    let names = Names::read(case)?;

    let leaf = case["peer_certificate"].as_str().ok_or_else(|| bad("peer_certificate"))?;
    let leaf = certificate(leaf)
        .ok_or_else(|| Outcome::Failure("malformed: the peer's certificate is not PEM".into()))?;
    let intermediates = texts(case, "untrusted_intermediates")?;
    let mut chain = vec![leaf];
    chain.extend(intermediates.into_iter().filter_map(certificate));
    for purpose in purposes {
        let nothing = Evidence::default();
        let name = names.server.as_ref();
        if let Err(error) = verifier.verify(provider, &chain, purpose, name, now, nothing) {
            return Err(Outcome::Failure(format!("{}: {error}", error.reason.code())));
        }
    }
    names.check_others(&chain[0])
}

/// What the certificate has to be good for. Without a word on it, what TLS asks.
fn purposes(case: &Value) -> Result<Vec<Purpose>, Outcome> {
    let kind = match case["validation_kind"].as_str() {
        Some("SERVER") => Purpose::Server,
        Some("CLIENT") => Purpose::Client,
        _ => return Err(bad("validation_kind")),
    };
    let other = |what: &str| Outcome::Skipped(format!("{what} is no use of a certificate in TLS"));
    if !texts(case, "signature_algorithms")?.is_empty() {
        return Err(Outcome::Skipped("the signature algorithms are the provider's".to_owned()));
    }
    // In TLS 1.3 the peer's key signs.
    if let Some(usage) = texts(case, "key_usage")?.iter().find(|u| **u != "digitalSignature") {
        return Err(other(usage));
    }
    let purposes = texts(case, "extended_key_usage")?;
    if purposes.is_empty() {
        return Ok(vec![kind]);
    }
    let purpose = |text: &&str| match *text {
        "serverAuth" => Ok(Purpose::Server),
        "clientAuth" => Ok(Purpose::Client),
        text => Err(other(text)),
    };
    purposes.iter().map(purpose).collect()
}

/// Whom the certificate has to be for.
struct Names {
    /// The one that the verifier looks for.
    server: Option<ServerName<'static>>,
    /// These all have to be there.
    others: Vec<ServerName<'static>>,
    emails: Vec<String>,
}

impl Names {
    fn read(case: &Value) -> Result<Self, Outcome> {
        let mut this = Self { server: None, others: Vec::new(), emails: Vec::new() };
        if let Some(name) = optional(case, "expected_peer_name") {
            this.add(name)?;
            this.server = this.others.pop();
        }
        if let Some(names) = optional(case, "expected_peer_names") {
            let names = names.as_array().ok_or_else(|| bad("expected_peer_names"))?;
            names.iter().try_for_each(|name| this.add(name))?;
        }
        Ok(this)
    }

    fn add(&mut self, name: &Value) -> Result<(), Outcome> {
        let value = name["value"].as_str().ok_or_else(|| bad("the name of a peer"))?;
        let nobody = |_| Outcome::Failure(format!("name-mismatch: nobody can be called {value}"));
        match name["kind"].as_str() {
            Some("DNS") => {
                let name = DnsName::try_from(value.to_owned()).map_err(|_| nobody(()))?;
                self.others.push(ServerName::DnsName(name));
            }
            Some("IP") => {
                let ip: IpAddr = value.parse().map_err(|_| nobody(()))?;
                self.others.push(ServerName::IpAddress(ip.into()));
            }
            Some("RFC822") => self.emails.push(value.to_owned()),
            _ => return Err(bad("the kind of a peer's name")),
        }
        Ok(())
    }

    /// The names that a client has to have, in the certificate that was accepted.
    fn check_others(&self, leaf: &CertificateDer<'_>) -> Result<(), Outcome> {
        let Ok((_, leaf)) = X509Certificate::from_der(leaf) else {
            return Err(Outcome::Failure("malformed".to_owned()));
        };
        let present = leaf.subject_alternative_name().ok().flatten();
        let present = present.map(|san| san.value.general_names.as_slice()).unwrap_or_default();
        let has_name = |wanted: &ServerName<'_>| {
            present.iter().any(|name| match (name, wanted) {
                (GeneralName::DNSName(name), ServerName::DnsName(wanted)) => {
                    name.eq_ignore_ascii_case(wanted.as_ref())
                }
                (GeneralName::IPAddress(octets), ServerName::IpAddress(wanted)) => {
                    match IpAddr::from(*wanted) {
                        IpAddr::V4(ip) => *octets == ip.octets(),
                        IpAddr::V6(ip) => *octets == ip.octets(),
                    }
                }
                _ => false,
            })
        };
        let has_email = |wanted: &String| {
            present.iter().any(|name| match name {
                GeneralName::RFC822Name(address) => same_mailbox(address, wanted),
                _ => false,
            })
        };
        if self.others.iter().all(has_name) && self.emails.iter().all(has_email) {
            return Ok(());
        }
        Err(Outcome::Failure("name-mismatch: the certificate lacks a name of the client".into()))
    }
}

/// RFC 5280 §7.5: the local part as it is, the host without regard to case.
fn same_mailbox(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((local, host)), Some((other, other_host))) => {
            local == other && host.eq_ignore_ascii_case(other_host)
        }
        _ => false,
    }
}

/// Those that are no PEM are left out, as the schema says of certificates that do not parse.
fn certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

fn crl(pem: &str) -> Option<CertificateRevocationListDer<'static>> {
    CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).ok()
}

fn optional<'a>(case: &'a Value, key: &str) -> Option<&'a Value> {
    case.get(key).filter(|value| !value.is_null())
}

/// A list of strings; none if the key is not there.
fn texts<'a>(case: &'a Value, key: &str) -> Result<Vec<&'a str>, Outcome> {
    let Some(list) = optional(case, key) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| bad(key))?;
    list.iter().map(|text| text.as_str().ok_or_else(|| bad(key))).collect()
}

fn bad(what: &str) -> Outcome {
    Outcome::Skipped(format!("{what} does not parse"))
}

/// `YYYY-MM-DDTHH:MM:SS[.mmm]` with `+HH:MM`, `-HH:MM` or `Z`: whole seconds since 1970, rounded down.
fn unix_time(text: &str) -> Option<UnixTime> {
    let (date, rest) = text.split_once('T')?;
    let zone = rest.find(['Z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone);
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let offset = match zone.split_at(1) {
        ("Z", "") => 0,
        (sign, zone) => {
            let [hour, minute] = numbers(zone, ':')?;
            (hour * 3_600 + minute * 60) * if sign == "-" { -1 } else { 1 }
        }
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    // Days since 1970-01-01, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let days = days + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).ok()?)))
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let numbers: Vec<i64> = text.split(separator).map(|n| n.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}
