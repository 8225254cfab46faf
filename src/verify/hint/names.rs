//! A certificate that is for somebody else: whom it is for, and what is most likely wrong.

use pki_types::ServerName;

use super::Doctor;
use super::rights::ca_as_leaf;
use crate::error::CertificateHint as Hint;
use crate::verify::certificate::Certificate;
use crate::verify::report::subject;

impl Doctor<'_, '_> {
    pub(super) fn name(&self, wanted: &str, present: &[String]) -> Hint {
        self.not_on_the_list(wanted, present)
            .or_else(|| self.leaf_not_first())
            .or_else(|| self.ca_as_leaf())
            .or_else(|| self.common_name_only(wanted, present))
            .or_else(|| self.address_as_dns_name(wanted, present))
            .or_else(|| wildcard(wanted, present))
            .unwrap_or_else(|| self.wrong_name(wanted, present))
    }

    /// A later certificate of the chain is the one that should have been first.
    pub(super) fn leaf_not_first(&self) -> Option<Hint> {
        let name = self.name?;
        let covers = |c: &&Certificate<'_>| {
            !c.is_ca() && c.extensions.subject_alt_name.is_some_and(|names| names.cover(name))
        };
        let first = self.certificates.first().is_some_and(|c| covers(&c));
        let place = self.certificates.iter().position(|c| covers(&c)).filter(|_| !first)?;
        let number = self.positions.get(place)? + 1;
        let certificate = subject(self.certificates.get(place)?);
        let peer = self.peer();
        Some(Hint::new(
            "leaf-not-first",
            format!(
                "The {peer} sends its chain in the wrong order: {certificate}, which is certificate {number}, is its own, and \
                 has to be the first in its chain file."
            ),
        ))
    }

    /// The peer shows a CA's certificate in place of its own.
    fn ca_as_leaf(&self) -> Option<Hint> {
        ca_as_leaf(self.leaf()?, self.peer())
    }

    fn common_name_only(&self, wanted: &str, present: &[String]) -> Option<Hint> {
        let leaf = self.leaf().filter(|_| present.is_empty())?;
        Some(Hint::new(
            "no-alt-name",
            format!(
                "{} says in its subject whom it is for, as certificates did until 2011. It has to be made again with the \
                 name as a subjectAltName (openssl req -addext subjectAltName={}:{wanted}).",
                leaf.subject,
                if self.wants_address() { "IP" } else { "DNS" },
            ),
        ))
    }

    fn address_as_dns_name(&self, wanted: &str, present: &[String]) -> Option<Hint> {
        let as_dns = present.iter().any(|name| name.strip_prefix("DNS:") == Some(wanted));
        (as_dns && self.wants_address()).then(|| {
            Hint::new(
                "address-as-dns-name",
                format!(
                    "{wanted} is in the certificate as a DNS name, where addresses do not count: it has to be made again \
                     with subjectAltName=IP:{wanted}."
                ),
            )
        })
    }

    fn wants_address(&self) -> bool {
        matches!(self.name, Some(ServerName::IpAddress(_)))
    }

    fn wrong_name(&self, wanted: &str, present: &[String]) -> Hint {
        let peer = self.peer();
        let dns = || present.iter().filter_map(|name| name.strip_prefix("DNS:"));
        if self.wants_address() {
            let instead = match dns().find(|name| !name.starts_with('*')) {
                Some(name) => format!("Connect to {name} by name, or"),
                None => "Connect by a name that it has, or".to_owned(),
            };
            return Hint::new(
                "wrong-name",
                format!("{instead} have it made again with subjectAltName=IP:{wanted}."),
            );
        }
        // Of equals the first.
        let mut nearest: Option<(usize, &str)> = None;
        for name in dns() {
            let likeness = likeness(wanted, name);
            if nearest.is_none_or(|(best, _)| likeness > best) {
                nearest = Some((likeness, name));
            }
        }
        let nearest = match nearest {
            Some((_, name)) => format!("The nearest that it has is {name}. "),
            None => String::new(),
        };
        Hint::new(
            "wrong-name",
            format!(
                "{nearest}Is {wanted} spelt right? If it is, the {peer} has no certificate for it, or does not choose it: \
                 many show a default one to whoever asks for a name that they do not know."
            ),
        )
    }
}

/// The certificate has a wildcard that does not stretch so far.
fn wildcard(wanted: &str, present: &[String]) -> Option<Hint> {
    let wanted = wanted.strip_suffix('.').unwrap_or(wanted).to_ascii_lowercase();
    let patterns = present.iter().filter_map(|name| name.strip_prefix("DNS:*."));
    let parents = patterns.map(str::to_ascii_lowercase).filter(|parent| {
        wanted == *parent || wanted.strip_suffix(parent.as_str()).is_some_and(|w| w.ends_with('.'))
    });
    let parent = parents.max_by_key(String::len)?;
    let why = match wanted == parent {
        true => format!("not for {parent} itself"),
        false => "not for two or more".to_owned(),
    };
    Some(Hint::new(
        "wildcard-too-narrow",
        format!(
            "The * of *.{parent} stands for exactly one label, and {why}: the certificate needs {wanted} as a name of its own."
        ),
    ))
}

/// How many characters two names share at their ends.
fn likeness(a: &str, b: &str) -> usize {
    let same = |(a, b): &(u8, u8)| a.eq_ignore_ascii_case(b);
    let front = a.bytes().zip(b.bytes()).take_while(same).count();
    let back = a.bytes().rev().zip(b.bytes().rev()).take_while(same).count();
    front + back
}
