use crate::ready::Tolerance;
use crate::verdict::{FailureClass, Permanence};

/// What a message about a failed pull means. Only what the registry itself says is final: a back-off alone is not.
pub(super) fn classify(message: &str, image: &str, tolerance: &Tolerance) -> (FailureClass, Permanence) {
    let text = without_names(message, image).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(AWAY) {
        (FailureClass::PullTemporary, Permanence::Temporary)
    } else if says(&["not found", "manifest unknown", "name unknown", "manifest_unknown", "name_unknown"]) {
        (FailureClass::PullMissing, Permanence::Permanent)
    } else if says(&["unauthorized", "authorization failed", "forbidden", "denied", "no basic auth", "does not exist"])
    {
        (FailureClass::PullMissing, Permanence::After(tolerance.settling))
    } else if says(&["no match for platform", "no matching manifest", "exec format"]) {
        (FailureClass::PullMissing, Permanence::Permanent)
    } else {
        (FailureClass::PullTemporary, Permanence::Temporary)
    }
}

/// Names of images are free text and must not decide: they are taken out, also where they are part of an address.
fn without_names(message: &str, image: &str) -> String {
    let repository = image.split('@').next().unwrap_or(image);
    let repository = match repository.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => repository,
    };
    let path = repository.split_once('/').map_or(repository, |(_, path)| path);
    let text = message.replace(image, " ").replace(&format!("/{path}"), " ");
    if repository.contains('/') { text.replace(repository, " ").replace(&format!("{path}:"), " ") } else { text }
}

const AWAY: &[&str] = &[
    "dial tcp",
    "connection refused",
    "connection reset",
    "no such host",
    "i/o timeout",
    "deadline exceeded",
    "tls handshake",
    "toomanyrequests",
    "too many requests",
    "unexpected eof",
    "500 internal",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway",
    "no route to host",
    "server misbehaving",
];
