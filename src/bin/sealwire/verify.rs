//! `sealwire verify`: judges a certificate chain from a file, and tells how the verdict came about.

use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use sealwire::pki_types::pem::PemObject;
use sealwire::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use sealwire::{
    CertificateReason, CertificateReport, Crls, Evidence, Profile, Purpose, Revocation,
    TrustAnchors, Verifier,
};

use crate::failure::{Failure, Status};
use crate::moment;
use crate::options::{provider, read, system_anchors};
use crate::pem::{has_private_key, instead_of_certificates, is_der, is_der_certificate};
use crate::report::{print_line, say};
use crate::verdict;

/// The options of `sealwire verify`.
#[derive(Debug, Args)]
#[command(after_long_help = JSON)]
pub(crate) struct Options {
    /// The certificates that the peer sends, as PEM, its own first; - is standard input
    #[arg(value_name = "CHAIN.pem")]
    chain: PathBuf,
    /// Trust the root certificates in this PEM file; may be given repeatedly, and with --system and --mozilla
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Trust the system's root certificates, as is done when nothing else is named
    #[arg(long)]
    system: bool,
    /// Trust Mozilla's root certificates, which are compiled in
    #[arg(long)]
    mozilla: bool,
    /// The host name or address that the certificate has to be for
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The certificate is a client's, not a server's
    #[arg(long)]
    client: bool,
    /// Judge as if it were this time: 2026-11-25T10:00:00Z, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    time: Option<u64>,
    /// Refuse what these CRLs, PEM or DER, revoke, and what none of them covers: every certificate below the root
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Judge as if the peer had stapled this OCSP response (DER): a certificate that it does not call good is refused
    #[arg(long, value_name = "FILE")]
    ocsp: Option<PathBuf>,
    /// default: what works elsewhere; strict: also the rules that public CAs keep
    #[arg(long, value_name = "PROFILE", default_value = "default", hide_possible_values = true)]
    profile: ProfileName,
    /// Say everything in one JSON object; --help describes it
    #[arg(long)]
    json: bool,
}

/// [`Profile`] on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    Default,
    Strict,
}

/// What programs can rely on.
const JSON: &str = "\
The object of --json:
  verified      whether a path was accepted; the exit status is 0 only then, and 4 if not
  code, reason  why not, for programs and for people; null if it was
  name, time    what was asked: a name or null, and when
  certificates  those on the paths: subject, issuer, serial, sha256, subject_key_id, authority_key_id, key, signed_with,
                not_before, not_after, purposes, names, issuer_addresses, is_ca, is_anchor, position (in the chain, from 0, or null)
  paths         each that was tried, in order: certificates (places in the list above, the peer's own first), code and
                reason of its end, or null if it was accepted, and at, the place on it that is at fault; if that is its
                length, the next issuer is missing
  omitted       how many more paths there were
  faults        what is wrong with the peer's own certificate, whatever the path: code and reason of each
  notes         what else was noticed, for people
  hints         what may cure it, and what expires within 30 days: code and text of each
Absent values are null. Codes never change; the documentation of CertificateReason::code lists them.";

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<(), Status> {
    match judge(options) {
        Ok(report) => {
            let told = match options.json {
                true => print_line(&format!("{:#}", verdict::json(&report))),
                false => {
                    let mut told = verdict::told(&report, &io::stdout());
                    told.push_str(whose_roots(options, &report));
                    print_line(told.trim_end())
                }
            };
            // Whoever reads no further, as `head` does, has read enough.
            let told = told.or_else(|error| match error.kind() {
                ErrorKind::BrokenPipe => Ok(()),
                _ => Err(Failure::io("cannot write to standard output", &error)),
            });
            told.map_err(|failure| fail(&failure))?;
            if report.is_accepted() { Ok(()) } else { Err(Status::NotVerified) }
        }
        Err(failure) => Err(fail(&failure)),
    }
}

/// Nobody has named a root, and none was found.
fn whose_roots(options: &Options, report: &CertificateReport) -> &'static str {
    use CertificateReason::{SelfSigned, UnknownIssuer};
    let rootless = matches!(report.reason, Some(UnknownIssuer { .. } | SelfSigned { .. }));
    if rootless && options.ca.is_empty() && !options.mozilla {
        return "hint: The system's roots were asked. --ca FILE names others.\n";
    }
    ""
}

fn fail(failure: &Failure) -> Status {
    failure.print();
    failure.status
}

fn judge(options: &Options) -> Result<CertificateReport, Failure> {
    let chain = chain(&options.chain)?;
    let name = options.name.clone().map(|name| {
        let parsed = ServerName::try_from(name.clone());
        parsed.map_err(|_| {
            Failure::usage(format!("{name:?} is neither a host name nor an address")).hint(
                "--name takes the host alone, without a scheme, port or path: www.example.com",
            )
        })
    });
    let name = name.transpose()?;
    let mut verifier = Verifier::new(anchors(options)?);
    if options.profile == ProfileName::Strict {
        verifier = verifier.with_profile(Profile::Strict);
    }
    let ocsp = options.ocsp.as_deref().map(ocsp_response).transpose()?;
    if let Some(policy) = revocation(options)? {
        verifier = verifier.with_revocation(policy);
    }
    let now = options.time.map(|time| UnixTime::since_unix_epoch(Duration::from_secs(time)));
    let now = now.unwrap_or_else(UnixTime::now);
    let purpose = if options.client { Purpose::Client } else { Purpose::Server };
    let asked_for_ocsp = ocsp.is_some();
    let ocsp = ocsp.unwrap_or_default();
    let evidence = Evidence { ocsp: &ocsp, asked_for_ocsp, ..Evidence::default() };
    Ok(verifier.explain(&provider(), &chain, purpose, name.as_ref(), now, evidence))
}

/// An OCSP response, which is DER.
fn ocsp_response(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path)?;
    match is_der(&bytes) {
        true => Ok(bytes),
        false => Err(Failure::usage(format!("{}: this is no OCSP response", path.display()))
            .hint("openssl ocsp -respout FILE writes one, in DER.")),
    }
}

/// Hard-fail, as far as the command line says by what to judge. An OCSP response is about the peer's certificate alone.
fn revocation(options: &Options) -> Result<Option<Revocation>, Failure> {
    let mut lists = Vec::new();
    for path in &options.crl {
        let bytes = read(path)?;
        let bad = || Failure::usage(format!("{}: there is no CRL in it", path.display()));
        if is_der(&bytes) {
            lists.push(bytes);
            continue;
        }
        let before = lists.len();
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            lists.push(list.map_err(|_| bad())?.to_vec());
        }
        if lists.len() == before {
            return Err(bad());
        }
    }
    let policy = match (lists.is_empty(), &options.ocsp) {
        (true, None) => return Ok(None),
        (true, Some(_)) => Revocation::hard_fail().end_entity_only(),
        (false, _) => {
            let crls = Crls::from_der(lists.into_iter().map(CertificateRevocationListDer::from));
            Revocation::hard_fail().with_crls(crls.map_err(|e| Failure::usage(e.to_string()))?)
        }
    };
    Ok(Some(policy))
}

/// Everybody who is named; the system's if nobody is.
fn anchors(options: &Options) -> Result<TrustAnchors, Failure> {
    let mut all = Vec::new();
    for path in &options.ca {
        all.extend(certificates(path, &read(path)?)?);
    }
    let own = TrustAnchors::from_certificates(all);
    if own.is_empty() && !options.ca.is_empty() {
        return Err(Failure::usage("none of the certificates that --ca names can be used"));
    }
    let mut sets = vec![own];
    if options.mozilla {
        sets.push(TrustAnchors::mozilla());
    }
    if options.system || (options.ca.is_empty() && !options.mozilla) {
        sets.push(system_anchors()?);
    }
    Ok(sets.into_iter().reduce(|all, more| all.with(&more)).unwrap_or_default())
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        let got = io::stdin().lock().read_to_end(&mut bytes);
        got.map_err(|e| Failure::io("cannot read standard input", &e))?;
        bytes
    } else {
        read(path)?
    };
    certificates(path, &bytes)
}

/// The certificates in PEM text, or the one that these bytes are.
fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Failure> {
    if is_der_certificate(bytes) {
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let bad = |what: &str| Failure::usage(format!("{}: {what}", path.display()));
    let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| bad(&format!("this is not PEM: {error}")))?;
    if all.is_empty() {
        let (what, hint) = instead_of_certificates(bytes);
        return Err(bad(what).hint(hint));
    }
    if has_private_key(bytes) {
        say(&format!(
            "note: {} holds a private key, too. Nobody needs it to judge certificates, and whoever can read the file has it\n",
            path.display()
        ));
    }
    Ok(all)
}
