//! How a probe connects to what it asks: by an address or through what the caller dials, with or without TLS.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use http_client::{LookupError, lookup};
use lock_model::escaping::excerpt;
use process::Redactor;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::probe::Found;
use crate::report::CheckState;
use crate::text::innermost;
use crate::tls::Tls;

/// The most bytes of an answer that are read; a longer one is not of the protocol.
const ANSWER_READ: usize = 64 * 1024;

/// A connection in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The future of a connection that is being opened.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Stream>, DialError>> + Send + 'a>>;

/// Opens connections on another way than by an address, such as through a cluster's API server.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Opens one connection.
    fn dial(&self) -> Dialling<'_>;
}

/// Why a connection cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialError {
    /// [`Unhealthy`](CheckState::Unhealthy) where it is known that nothing takes the connection.
    pub state: CheckState,
    /// One escaped line.
    pub reason: String,
}

/// What a probe connects to.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// `HOST:PORT`
    Address(String),
    /// What only the caller can dial.
    Dialled {
        /// What details call it.
        name: String,
        /// The host that its certificate and its requests name.
        host: String,
        /// Opens the connections.
        dial: Arc<dyn Dial>,
    },
}

impl Endpoint {
    /// What details call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Address(address) => address,
            Self::Dialled { name, .. } => name,
        }
    }

    /// Whether what is sent in clear stays on this machine or inside of an encrypted connection.
    pub(crate) fn is_private(&self) -> bool {
        match self {
            Self::Address(address) => host_and_port(address).is_some_and(|(host, _)| is_loopback(host)),
            Self::Dialled { .. } => true,
        }
    }

    /// What a request names as its host.
    pub(crate) fn authority(&self) -> &str {
        match self {
            Self::Address(address) => address,
            Self::Dialled { host, .. } => host,
        }
    }

    /// The host that a certificate must name.
    fn host(&self) -> Option<&str> {
        match self {
            Self::Address(address) => host_and_port(address).map(|(host, _)| host),
            Self::Dialled { host, .. } => Some(host),
        }
    }

    /// Opens a connection without TLS.
    pub(crate) async fn open(&self) -> Result<Box<dyn Stream>, Found> {
        match self {
            Self::Address(address) => Ok(Box::new(connect(address).await?)),
            Self::Dialled { dial, .. } => dial.dial().await.map_err(|error| (error.state, error.reason)),
        }
    }

    /// Opens a connection, with TLS where it is given.
    pub(crate) async fn open_with(&self, tls: Option<&Tls>, protocols: &[&str]) -> Result<Box<dyn Stream>, Found> {
        let stream = self.open().await?;
        match tls {
            Some(tls) => Ok(Box::new(self.secure(stream, tls, protocols).await?)),
            None => Ok(stream),
        }
    }

    /// Speaks TLS on a connection from now on.
    pub(crate) async fn secure(
        &self,
        stream: Box<dyn Stream>,
        tls: &Tls,
        protocols: &[&str],
    ) -> Result<TlsStream<Box<dyn Stream>>, Found> {
        let name = self.host().and_then(|host| ServerName::try_from(host.to_owned()).ok());
        let name = name.ok_or_else(|| unknown("the host is no name that a certificate can have"))?;
        let config = tls.config(protocols).map_err(unknown)?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map_err(|error| unhealthy(format!("TLS: {}", tls_reason(&error))))
    }
}

/// Why a TLS handshake failed, in short.
fn tls_reason(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => excerpt(error.to_string()),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => "the server ends the handshake".to_owned(),
        None => innermost(error),
    }
}

/// The parts of `HOST:PORT`; an IPv6 address without its brackets.
pub(crate) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Connects to `HOST:PORT`, to the first address of the name that accepts.
pub(crate) async fn connect(address: &str) -> Result<TcpStream, Found> {
    let (host, port) = host_and_port(address).ok_or_else(|| unknown("the address is not HOST:PORT"))?;
    let addresses = match lookup(host, port).await {
        Ok(addresses) => addresses,
        Err(error @ LookupError::LinkLocal(_)) => return Err(unknown(error.to_string())),
        Err(LookupError::Io(error)) => {
            return Err(unknown(format!("`{}` does not resolve: {}", excerpt(host), excerpt(error.to_string()))));
        }
    };
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = excerpt(error.to_string()),
        }
    }
    Err(unhealthy(last))
}

pub(crate) fn unhealthy(reason: impl Into<String>) -> Found {
    (CheckState::Unhealthy, reason.into())
}

pub(crate) fn unknown(reason: impl Into<String>) -> Found {
    (CheckState::Unknown, reason.into())
}

/// What the bytes read so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard<T> {
    /// The beginning of something.
    More,
    /// This, in so many bytes.
    Whole(T, usize),
    /// Nothing of the protocol.
    Wrong,
}

/// A conversation over one connection.
pub(crate) struct Conversation<'a> {
    stream: Box<dyn Stream>,
    /// The protocol, as details call it.
    protocol: &'static str,
    secrets: &'a Redactor,
    read: Vec<u8>,
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(stream: Box<dyn Stream>, protocol: &'static str, secrets: &'a Redactor) -> Self {
        Self { stream, protocol, secrets, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Found> {
        let sent = self.stream.write_all(bytes).await;
        // A server that closes has often said why before.
        if sent.is_err() { Ok(()) } else { self.stream.flush().await.or(Ok(())) }
    }

    /// Reads until `parse` knows what it is.
    pub(crate) async fn hear<T>(&mut self, parse: impl Fn(&[u8]) -> Heard<T>) -> Result<T, Found> {
        loop {
            match parse(&self.read) {
                Heard::Whole(heard, length) => {
                    self.read.drain(..length.min(self.read.len()));
                    return Ok(heard);
                }
                Heard::Wrong => return Err(self.wrong()),
                Heard::More if self.read.len() > ANSWER_READ => return Err(self.wrong()),
                Heard::More => {}
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).await {
                Ok(0) if self.read.is_empty() => {
                    return Err(unhealthy("the server closes the connection without an answer"));
                }
                Ok(0) => return Err(self.wrong()),
                Ok(length) => self.read.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if self.read.is_empty() => {
                    return Err(unhealthy(format!("the connection breaks: {}", innermost(&error))));
                }
                Err(_) => return Err(self.wrong()),
            }
        }
    }

    fn wrong(&self) -> Found {
        unhealthy(format!("the answer is not {}: `{}`", self.protocol, self.masked(&self.read)))
    }

    /// What the server said, without secrets, escaped and short.
    pub(crate) fn masked(&self, said: &[u8]) -> String {
        excerpt(self.secrets.redact(&String::from_utf8_lossy(said)))
    }

    /// Speaks TLS from now on; what was read before must have been taken.
    pub(crate) async fn secured(self, endpoint: &Endpoint, tls: &Tls) -> Result<Self, Found> {
        // Bytes from before the handshake must not count as said in it.
        if !self.read.is_empty() {
            return Err(unhealthy("the server speaks before the TLS handshake that it agreed to"));
        }
        let stream = endpoint.secure(self.stream, tls, &[]).await?;
        Ok(Self { stream: Box::new(stream), ..self })
    }
}
