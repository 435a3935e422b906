//! Reports as text for people.

mod config;
mod environment;
mod images;
mod lock;
mod run;
mod simulator;

/// A report as text.
pub(crate) trait Text {
    /// Complete lines, not yet escaped for a terminal.
    fn text(&self) -> String;

    /// Lines for stderr, where stdout holds something else than text for people.
    fn notes(&self) -> Option<String> {
        None
    }
}

/// Twelve digits of a digest or id, which is enough for people.
fn short_id(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// An image with a digest of twelve digits.
fn short_image(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, hex)) => format!("{name}@{}", hex.chars().take(12).collect::<String>()),
        None => image.to_owned(),
    }
}

/// Adds text that was just made.
fn append(text: &mut String, more: impl AsRef<str>) {
    text.push_str(more.as_ref());
}
