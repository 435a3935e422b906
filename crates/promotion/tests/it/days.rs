use lock_model::{Date, Exception};

pub(crate) fn exception(until: &str) -> Exception {
    Exception {
        kind: "left-out".try_into().unwrap(),
        subject: "services/chat".try_into().unwrap(),
        reason: "not ready".try_into().unwrap(),
        owner: "team-ai".try_into().unwrap(),
        until: until.parse().unwrap(),
    }
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}
