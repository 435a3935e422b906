use lock_model::{Date, Exception};

pub(crate) fn exception(until: &str) -> Exception {
    Exception::new(
        "left-out".try_into().unwrap(),
        "services/chat".try_into().unwrap(),
        "not ready".try_into().unwrap(),
        "team-ai".try_into().unwrap(),
        until.parse().unwrap(),
    )
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}
