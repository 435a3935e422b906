use lock_model::ErrorClass;

/// Options that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No request could ever be sent.
    #[error("the number of requests at one time must be at least 1")]
    NoConcurrency,
    /// A mirror's address is not one of a registry.
    #[error("mirror `{url}` of `{host}` {reason}")]
    Mirror {
        /// The host that it stands for.
        host: String,
        /// The address, without user and password.
        url: String,
        /// The end of the message.
        reason: &'static str,
    },
    /// The name of the program cannot stand in a request.
    #[error("`{text}` cannot be sent as the name of the program", text = lock_model::escaping::escape_terminal(text))]
    UserAgent {
        /// What was to be sent.
        text: String,
    },
    /// A certificate, or a key, cannot be used.
    #[error("`{name}` {reason}")]
    Certificate {
        /// What people know it by.
        name: String,
        /// The end of the message.
        reason: &'static str,
    },
    /// A proxy's address is not one.
    #[error("proxy `{url}` is neither `http://` nor `https://` with a host")]
    Proxy {
        /// The address, without user and password.
        url: String,
    },
}

impl OptionsError {
    /// What kind of failure this is: `Invalid`, since the options stay what they are.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}
