use base64::Engine as _;
use lock_model::ImageRepository;
use reqwest::Method;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::auth::Need;
use crate::backend::{Target, target_of};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::http::Ask;
use crate::registry::Registry;
use crate::remote::path_at;

/// What is to be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `pull`: reading.
    Pull,
    /// `pull,push`: reading and writing.
    Push,
}

/// A login for one repository, to be given to another client of the registry. The debug form shows no secret.
#[derive(Clone, Debug)]
pub enum ScopedLogin {
    /// The registry asks for no login.
    Anonymous,
    /// A user and a password with each request.
    Password {
        /// The user name.
        user: String,
        /// Sent as it is, in a `Basic` header.
        password: SecretString,
    },
    /// A token, good for this repository and for a while.
    Token(SecretString),
}

impl Scope {
    fn as_requested(self, path: &str) -> String {
        match self {
            Self::Pull => format!("repository:{path}:pull"),
            Self::Push => format!("repository:{path}:pull,push"),
        }
    }
}

impl Registry {
    /// Logs in to the registry of a repository and gives what came of it, for a client that cannot be given more.
    ///
    /// The login was found, the token service judged and the token asked for as for our own requests. A client that is
    /// given a token has no reason to look for a token service itself; what it does with redirects, certificates, proxies
    /// and limits is its own affair. A layout folder needs no login.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn scoped_login(
        &self,
        repository: &ImageRepository,
        scope: Scope,
        deadline: std::time::Instant,
    ) -> Result<ScopedLogin, RegistryError> {
        let login = async {
            let authenticator = self.authenticator();
            let options = authenticator.options();
            let Target::Http(mut url) = target_of(repository.host(), options)? else {
                return Ok(ScopedLogin::Anonymous);
            };
            let path = path_at(&url, repository);
            let (gate, account) = (authenticator.gate(&url), authenticator.account(&url, &path));
            url.set_path("/v2/");
            let ask = Ask::new(Method::GET, url, options.limits.token, &gate, Instant::from_std(deadline));
            let answer = authenticator.send(&ask, &account).await?;
            if !answer.status.is_success() {
                return Err(answer.into_failure(RegistryErrorKind::Missing));
            }
            let need = Need { account: &account, authenticator, ask: &ask };
            let header = need.granted(scope.as_requested(&path)).await?;
            header.map_or(Ok(ScopedLogin::Anonymous), |header| read(&header).ok_or_else(unreadable))
        };
        login.await.map_err(|kind| self.failed(repository, repository.to_string(), kind))
    }
}

/// Reads a header that we wrote.
fn read(header: &HeaderValue) -> Option<ScopedLogin> {
    let (scheme, value) = header.to_str().ok()?.split_once(' ')?;
    match scheme {
        "Bearer" => Some(ScopedLogin::Token(value.into())),
        "Basic" => {
            let pair = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
            let pair = secrecy::zeroize::Zeroizing::new(String::from_utf8(pair).ok()?);
            let (user, password) = pair.split_once(':')?;
            Some(ScopedLogin::Password { user: user.to_owned(), password: password.into() })
        }
        _ => None,
    }
}

fn unreadable() -> RegistryErrorKind {
    RegistryErrorKind::Client { reason: "the login cannot be given to another client".to_owned() }
}
