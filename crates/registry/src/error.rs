use std::time::Duration;
use std::{fmt, io};

use lock_model::{Digest, ErrorClass, Platform};

use crate::credentials::{LoginSource, LoginTrace};
use crate::layout::LayoutError;
use crate::proxy::ProxyFault;
use crate::text::list;
use crate::tls_fault::CertificateFault;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A question to a registry, or to a layout folder, that has no good answer.
#[derive(Debug)]
pub struct RegistryError {
    reference: String,
    asked: Option<String>,
    kind: RegistryErrorKind,
}

impl RegistryError {
    pub(crate) fn new(reference: impl Into<String>, kind: RegistryErrorKind) -> Self {
        Self { reference: reference.into(), asked: None, kind }
    }

    /// Names the repository that a mirror was asked for, where it has another name there.
    #[must_use]
    pub(crate) fn asked_as(self, asked: Option<String>) -> Self {
        Self { asked, ..self }
    }

    /// What was asked for: `repository:tag` or `repository@digest`.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// What the registry did, or why it could not be asked.
    pub fn kind(&self) -> &RegistryErrorKind {
        &self.kind
    }

    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        self.kind.class()
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.asked {
            None => write!(f, "`{}`: {}", self.reference, self.kind),
            Some(asked) => write!(f, "`{}` (asked for as `{asked}`): {}", self.reference, self.kind),
        }
    }
}

impl std::error::Error for RegistryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

/// Why there is no good answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// The registry knows no such tag, or no such repository.
    #[error("does not exist")]
    Missing,
    /// A reference has neither a tag nor a digest: `latest` is never assumed.
    #[error("has neither a tag nor a digest")]
    NoTagOrDigest,
    /// The registry names a digest and does not have what it stands for.
    #[error("the registry names `{digest}` and does not have it")]
    Gone {
        /// What the registry names.
        digest: Digest,
    },
    /// The image is not there for every platform that is required.
    #[error("no image for {}; there is {}", list(wanted), available_text(available))]
    PlatformMissing {
        /// The platforms that are required and not there.
        wanted: Vec<Platform>,
        /// The platforms that are there, as the image names them.
        available: Vec<String>,
    },
    /// Several entries of an index are for the same platform, so that readers may disagree on which one it is.
    #[error("more than one image for `{platform}`: {}", list(digests))]
    PlatformTwice {
        /// The platform.
        platform: Platform,
        /// The manifests of the entries.
        digests: Vec<Digest>,
    },
    /// The configuration of an image names another platform than the index does.
    #[error("the image for `{platform}` (`{digest}`) says that it is for `{reported}`")]
    PlatformDiffers {
        /// The platform that the index names.
        platform: Platform,
        /// Of the manifest.
        digest: Digest,
        /// The platform that the configuration names.
        reported: String,
    },
    /// Something that an index or a manifest refers to is not there.
    #[error("its {what} `{digest}` is missing")]
    ChildMissing {
        /// What it is: a manifest for a platform, or a configuration.
        what: String,
        /// What it is referred to by.
        digest: Digest,
    },
    /// The digest that was announced is not the one of the bytes that came.
    #[error("announced as `{reported}`, but what came hashes to `{hashed}`")]
    DigestDiffers {
        /// The digest that was announced.
        reported: Digest,
        /// The digest of the bytes.
        hashed: Digest,
    },
    /// The length that was announced is not the one of the bytes that came.
    #[error("`{digest}` is announced with {reported} bytes and has {actual}")]
    SizeDiffers {
        /// Of the document.
        digest: Digest,
        /// The length that was announced.
        reported: u64,
        /// The length of the bytes.
        actual: u64,
    },
    /// A tag pointed at two images within one command.
    #[error("moved while it was read: first `{before}`, then {}", after.as_ref().map_or_else(|| "nothing".to_owned(), |digest| format!("`{digest}`")))]
    Moved {
        /// The digest at the first look.
        before: Digest,
        /// The digest at the last look; absent when the tag was gone.
        after: Option<Digest>,
    },
    /// The answer is not an image.
    #[error("not an image: {reason}")]
    NotAnImage {
        /// What does not fit.
        reason: String,
    },
    /// The answer is none that a registry gives, such as a web page.
    #[error("not an image: {reason}")]
    NotARegistry {
        /// What it is.
        reason: String,
    },
    /// The answer is not an artefact, or what is to be sent is none.
    #[error("not an artefact: {reason}")]
    NotAnArtifact {
        /// What does not fit.
        reason: String,
    },
    /// The list of referrers was written by others again and again while our entry was added.
    #[error("the list `{tag}` changed {rounds} times while an entry was added to it")]
    ListChanged {
        /// The tag of the list.
        tag: String,
        /// How often it was tried.
        rounds: u32,
    },
    /// The answer is larger than what is read.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The registry, or its token service, asks for a login, and there is none to give.
    #[error("{}`{host}` asks for a login ({challenge}), and none is known", login.problems_first())]
    LoginNeeded {
        /// The host that asks.
        host: String,
        /// The `WWW-Authenticate` header: cut and escaped.
        challenge: String,
        /// What should have given a login.
        login: Box<LoginTrace>,
    },
    /// The registry, or its token service, does not take the login that is known.
    #[error("`{host}` does not accept the login from {} ({status}){detail}", login.source)]
    LoginRefused {
        /// The host that refuses.
        host: String,
        /// As in 403.
        status: u16,
        /// What it says, with a leading colon; empty when it says nothing.
        detail: String,
        /// Where the login came from.
        login: Box<LoginTrace>,
    },
    /// The registry sends us to an address for tokens where we do not go.
    #[error("`{host}` gives out tokens at `{realm}`, which {reason}")]
    Realm {
        /// `HOST[:PORT]` of the registry.
        host: String,
        /// The address: cut and escaped.
        realm: String,
        /// Why we do not go there.
        reason: String,
    },
    /// The token service's answer is not a token.
    #[error("the answer of the token service `{host}` {reason}")]
    TokenAnswer {
        /// `HOST[:PORT]` of the token service.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry refuses permission (403).
    #[error("{}`{host}` refuses ({status}){detail}{}", login.as_ref().map(|login| login.problems_first()).unwrap_or_default(), asked_by(login.as_deref()))]
    Refused {
        /// The host that refuses.
        host: String,
        /// As in 403.
        status: u16,
        /// What it says, with a leading colon; empty when it says nothing.
        detail: String,
        /// The login that the request was sent with; absent when the registry had asked for none.
        login: Option<Box<LoginTrace>>,
    },
    /// The storage to which the registry redirects refuses permission (403): no login goes there.
    #[error("`{host}`, to which `{from}` redirects, refuses ({status}){detail}")]
    StorageRefused {
        /// `HOST[:PORT]` of the storage.
        host: String,
        /// `HOST[:PORT]` of the registry.
        from: String,
        /// As in 403.
        status: u16,
        /// What it says, with a leading colon; empty when it says nothing.
        detail: String,
    },
    /// The registry's certificate is not trusted.
    #[error("the certificate of `{host}` {fault}")]
    Untrusted {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What is wrong with it.
        fault: CertificateFault,
        /// What the TLS library says, which the fault repeats.
        cause: BoxError,
    },
    /// The registry wants to see a certificate of ours, or does not take the one that it was shown.
    #[error("`{host}` asks for a certificate of ours that it accepts ({cause})")]
    ClientCertificate {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What the TLS library says.
        cause: BoxError,
    },
    /// The registry has no TLS that we speak: 1.2 or 1.3 with a safe cipher.
    #[error("`{host}` takes no version and no cipher of TLS that is safe ({cause})")]
    NoCommonTls {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What the TLS library says.
        cause: BoxError,
    },
    /// The registry answered with a status that stands neither for an image nor for its absence.
    #[error("`{host}` answered {status}{detail}")]
    Status {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// As in 403.
        status: u16,
        /// What it says, with a leading colon; empty when it says nothing.
        detail: String,
    },
    /// The registry redirects to where we do not follow.
    #[error("`{host}` redirects {reason}")]
    Redirect {
        /// The host that redirects.
        host: String,
        /// To where, and why that is not followed.
        reason: String,
    },
    /// The registry, or a proxy before it, is busy or fails: 408, 429 or 5xx, also after the retries. 501, 505 and 511 stay.
    #[error("`{host}` is busy ({status}){}", retry_after.map_or_else(String::new, |wait| format!(" and asks to wait {} s", wait.as_secs())))]
    Busy {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// As in 403.
        status: u16,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The registry was busy, and the pause before the next request to it passes the deadline.
    #[error("`{host}` was busy, and is asked again in {} s only, which the deadline does not leave", wait.as_secs())]
    Paused {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What is left of the pause.
        wait: Duration,
    },
    /// No connection, or one that broke, also after the retries.
    #[error("`{host}` cannot be reached")]
    Unreachable {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What the HTTP client says.
        source: BoxError,
    },
    /// The proxy on the way there does not pass the request on.
    #[error("`{host}` cannot be reached: the proxy `{proxy}` {fault}")]
    Proxy {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// `HOST[:PORT]` of the proxy.
        proxy: String,
        /// Why not.
        fault: ProxyFault,
        /// What the HTTP client says, where there is no connection to the proxy.
        source: Option<BoxError>,
    },
    /// Its name has no address, as the name server says. That may pass: so does one that does not know a zone yet.
    #[error("`{host}` cannot be reached")]
    UnknownHost {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// What the HTTP client says.
        source: BoxError,
    },
    /// The answer ended before the length that it announced, also after the retries.
    #[error("the answer of `{host}` was cut off")]
    CutOff {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
    },
    /// One request took too long, also after the retries.
    #[error("`{host}` did not answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The whole command's deadline passed.
    #[error("the deadline passed before `{host}` answered")]
    Deadline {
        /// `HOST[:PORT]` as it was asked: a mirror's own where there is one.
        host: String,
    },
    /// The layout folder that stands for the registry cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The crate was built without the feature `ring`, and the program has not installed another TLS provider.
    #[error(
        "no TLS provider is installed: call `rustls::crypto::ring::default_provider().install_default()` at the start of \
        the program, or enable the feature `ring` of the crate `registry`"
    )]
    NoTlsProvider,
    /// No HTTP client could be made, for example because the machine has no certificate authorities.
    #[error("no HTTP client can be made: {reason}")]
    Client {
        /// What the HTTP client says, with its causes.
        reason: String,
    },
}

impl RegistryErrorKind {
    /// What kind of failure this is, and so whether asking again can help.
    ///
    /// | class | what to do |
    /// |---|---|
    /// | `NotFound` | the image, a platform of it, or a part of it is not there: [waiting](crate::WaitPolicy) helps where it is still being pushed |
    /// | `Denied` | one side does not trust the other: change a login, a permission, a certificate authority, or the hosts that may give out tokens |
    /// | `Invalid` | the answer is wrong, or the machine cannot ask: it stays so until the image, the registry or the options change |
    /// | `Temporary` | ask again: busy, unreachable, too slow, or changed by others meanwhile |
    /// | `Bug` | the program that uses this library has not installed a TLS provider |
    ///
    /// A layout folder's class is the one of its [`LayoutError`].
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Missing | Self::Gone { .. } | Self::PlatformMissing { .. } | Self::ChildMissing { .. } => {
                ErrorClass::NotFound
            }
            Self::NoTagOrDigest
            | Self::PlatformTwice { .. }
            | Self::PlatformDiffers { .. }
            | Self::DigestDiffers { .. }
            | Self::SizeDiffers { .. }
            | Self::Moved { .. }
            | Self::NotAnImage { .. }
            | Self::NotARegistry { .. }
            | Self::NotAnArtifact { .. }
            | Self::TooLarge { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Client { .. } => ErrorClass::Invalid,
            Self::LoginNeeded { .. }
            | Self::LoginRefused { .. }
            | Self::TokenAnswer { .. }
            | Self::Realm { .. }
            | Self::Refused { .. }
            | Self::StorageRefused { .. }
            | Self::Untrusted { .. }
            | Self::ClientCertificate { .. }
            | Self::NoCommonTls { .. } => ErrorClass::Denied,
            Self::Busy { .. }
            | Self::Paused { .. }
            | Self::ListChanged { .. }
            | Self::Unreachable { .. }
            | Self::UnknownHost { .. }
            | Self::CutOff { .. }
            | Self::TimedOut { .. }
            | Self::Deadline { .. } => ErrorClass::Temporary,
            Self::NoTlsProvider => ErrorClass::Bug,
            Self::Proxy { fault, .. } => fault.class(),
            Self::Layout(error) => error.class(),
        }
    }

    /// What happened, with the innermost cause where there is one: `connection refused`, not "error sending request".
    pub fn in_short(&self) -> String {
        let mut innermost = std::error::Error::source(self);
        while let Some(cause) = innermost.and_then(std::error::Error::source) {
            innermost = Some(cause);
        }
        innermost.map_or_else(|| self.to_string(), |cause| format!("{self}: {cause}"))
    }

    /// Whether the registry could be reached and ended the connection before it answered. Which of several errors shows
    /// that depends on whether the request was being sent at that moment.
    pub fn ended_by_host(&self) -> bool {
        let Self::Unreachable { source, .. } = self else { return false };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
        while let Some(error) = cause {
            let of_connection = error.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::UnexpectedEof
                )
            });
            // The HTTP client has no public kind for a connection that ends before the request is sent.
            if of_connection || error.to_string().starts_with("connection closed") {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// How long the registry asked to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Paused { wait, .. } => Some(*wait),
            _ => None,
        }
    }
}

/// The class of a report with several problems: a permanent one wins, so that `Temporary` means that asking again can
/// help with everything. `None` when there is no problem.
///
/// ```
/// use lock_model::ErrorClass;
///
/// let one_host_is_down_and_one_image_is_missing = [ErrorClass::Temporary, ErrorClass::NotFound];
/// assert_eq!(registry::overall_class(one_host_is_down_and_one_image_is_missing), Some(ErrorClass::NotFound));
/// ```
pub fn overall_class(classes: impl IntoIterator<Item = ErrorClass>) -> Option<ErrorClass> {
    classes.into_iter().max_by_key(|class| match class {
        ErrorClass::Temporary => 0,
        ErrorClass::Storage => 1,
        ErrorClass::Denied => 2,
        ErrorClass::NotFound => 3,
        ErrorClass::Invalid => 4,
        ErrorClass::Bug => 5,
    })
}

fn available_text(available: &[String]) -> String {
    if available.is_empty() { "none for any platform".to_owned() } else { list(available) }
}

/// With whose login a request was sent, as the end of a message.
fn asked_by(login: Option<&LoginTrace>) -> String {
    match login.map(|login| &login.source) {
        None => String::new(),
        Some(LoginSource::Anonymous) => ", asked without a login".to_owned(),
        Some(source) => format!(", asked with the login from {source}"),
    }
}
