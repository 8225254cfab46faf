//! `sealwire connect`: standard input and output over TLS, and what is to be said of the peer.

mod stream;
mod told;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use sealwire::pki_types::ServerName;
use sealwire::{Ask, ClientConfig, TrustAnchors, Verifier};

use self::stream::Session;
use self::told::Report;
use crate::failure::{Failure, Status};
use crate::options::{
    TlsOptions, anchors_from, credential, named_groups, provider, read, system_anchors,
};
use crate::report::say;
use crate::session::SessionFile;
use crate::target::{dial, split_target};

/// The options of `sealwire connect`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to: a host name or an address, and a port (443 if there is none). IPv6 in brackets: [::1]:443
    #[arg(value_name = "HOST:PORT")]
    target: String,
    /// Trust the root certificates in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", conflicts_with = "mozilla")]
    ca: Option<PathBuf>,
    /// Trust Mozilla's root certificates, which are compiled in, instead of the system's
    #[arg(long)]
    mozilla: bool,
    /// Our certificate chain for servers that ask, as PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, as PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The name to ask for and to verify, instead of HOST
    #[arg(long, value_name = "NAME")]
    servername: Option<String>,
    /// Show the peer's certificates as PEM, on standard error
    #[arg(long)]
    showcerts: bool,
    /// Go on although the peer's certificate is not verified. Anybody may be at the other end; the exit status says so
    #[arg(long)]
    danger_no_verify: bool,
    /// Send key shares for these groups only; the server asks for another with a HelloRetryRequest
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    key_shares: Option<Vec<String>>,
    /// Keep sessions in this file, which is made if it is not there, and resume with one of them. It is a secret
    #[arg(long, value_name = "FILE", conflicts_with = "danger_no_verify")]
    session: Option<PathBuf>,
    /// Send this file as early data (0-RTT), before anything else, as far as a session allows. Anybody who sees it on its way
    /// can send it to the server again
    #[arg(long, value_name = "FILE", requires = "session")]
    early_data: Option<PathBuf>,
    /// Send what could not go as early data, or was rejected, after the handshake
    #[arg(long, requires = "early_data")]
    resend_early_data: bool,
    /// Seconds until the connection must stand
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    timeout: u32,
    /// Say everything in one JSON object on standard error, at the end. Standard output is the peer's alone
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tls: TlsOptions,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<(), Status> {
    let mut report = Report::default();
    let result = connect(options, &mut report);
    let result = match (result, &report.verdict) {
        // The stream is fine, and still nobody knows who was at its other end.
        (Ok(()), Some(Err(error))) => Err(Failure::from(error)),
        (Ok(()), None) => Err(Failure::new(Status::NotVerified, "the peer was not verified")),
        (result, _) => result,
    };
    if options.json {
        say(&format!("{:#}\n", report.json(&result, options)));
    } else if let Err(failure) = &result {
        failure.print();
    }
    result.map_err(|failure| failure.status)
}

fn connect(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let (host, port) = split_target(&options.target)?;
    let name = options.servername.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failure::usage(format!("{name:?} is neither a host name nor an address"))
            .hint("Name what the certificate is for with --servername NAME.")
    })?;
    let mut config = config(options)?;
    let file = options.session.as_deref().map(SessionFile::open).transpose()?.map(Arc::new);
    if let Some(file) = &file {
        config = config.with_sessions(file.clone()).with_early_data(options.early_data.is_some());
    }
    if let Some(path) = &options.early_data {
        report.early.data = read(path)?;
    }
    let deadline = Instant::now() + Duration::from_secs(options.timeout.into());
    let socket = dial(host, port, deadline)?;
    report.address = socket.peer_addr().ok();
    let mut session = Session::start(config, name, socket, options, report)?;
    let result = session.run(deadline);
    match file.and_then(|file| file.take_error()) {
        Some(failure) => result.and(Err(failure)),
        None => result,
    }
}

/// Verdicts are asked of us: the default one would end the connection before anybody could look at it.
fn config(options: &Options) -> Result<ClientConfig, Failure> {
    let provider = provider();
    let anchors = match &options.ca {
        Some(path) => anchors_from(path)?,
        None if options.mozilla => TrustAnchors::mozilla(),
        None => system_anchors()?,
    };
    let config = ClientConfig::new(provider.clone(), Verifier::new(anchors))?;
    let mut config = options.tls.client(config)?;
    if let Some(names) = &options.key_shares {
        let names: Vec<_> = names.iter().filter(|name| !name.is_empty()).cloned().collect();
        config = config.with_key_shares(&named_groups(&provider, &names)?)?;
    }
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        config = config.with_credentials(vec![credential(&provider, cert, key)?]);
    }
    Ok(config.with_ask(Ask { verdict: true, ..Ask::default() }))
}
