//! Parts of messages.

pub(crate) use lock_model::escaping::excerpt as escaped;

/// The host that an address names, with the port where it is not the usual one.
pub(crate) fn host_of(url: &url::Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// An address without user and password, for people.
pub(crate) fn without_credentials(url: &url::Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that cannot hold credentials.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.into()
}

/// An error with all its causes on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Names in back quotes, separated by commas.
pub(crate) fn list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// All of them on one line.
pub(crate) fn joined<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
