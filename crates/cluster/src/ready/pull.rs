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

/// What is wrong, without the sentences around it that repeat the reference: they would push it out of an excerpt.
pub(super) fn reason(message: &str) -> &str {
    let mut rest = message;
    for begin in [
        "failed to pull and unpack image \"",
        "failed to resolve reference \"",
        "failed to do request: Head \"",
        "failed to do request: Get \"",
    ] {
        let after = rest.find(begin).and_then(|place| rest.get(place + begin.len()..));
        if let Some((_, after)) = after.and_then(|after| after.split_once("\": ")) {
            rest = after;
        }
    }
    rest
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

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn b25_the_reason_of_a_failed_pull_stands_without_the_reference_before_it() {
        let unpack =
            "failed to pull and unpack image \"r.io/a@sha256:1\": failed to resolve reference \"r.io/a@sha256:1\": ";
        for (message, wanted) in [
            (format!("{unpack}r.io/a@sha256:1: not found"), "r.io/a@sha256:1: not found"),
            (
                format!(
                    "Back-off pulling image \"r.io/a:1\": ErrImagePull: rpc error: code = Unknown desc = {unpack}dial tcp: no"
                ),
                "dial tcp: no",
            ),
            (
                format!("{unpack}failed to do request: Head \"http://r.io/v2/a\": dial tcp: refused"),
                "dial tcp: refused",
            ),
            ("pull access denied for r.io/a".to_owned(), "pull access denied for r.io/a"),
            (String::new(), ""),
        ] {
            assert_eq!(reason(&message), wanted);
        }
    }
}
