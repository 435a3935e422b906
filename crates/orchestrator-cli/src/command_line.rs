//! The words that the program was called with, as somebody can type them again.

use std::ffi::OsString;

/// The words without who acts, each quoted where a shell needs it.
pub(crate) fn without_actor(words: impl Iterator<Item = OsString>) -> String {
    let mut kept = Vec::new();
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        if word == "--as" {
            words.next();
        } else if !word.starts_with("--as=") {
            kept.push(quoted(word));
        }
    }
    kept.join(" ")
}

fn quoted(word: String) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let words = |line: &[&str]| without_actor(line.iter().map(OsString::from));
        assert_eq!(words(&["--as", "dana", "run", "staging"]), "run staging");
        assert_eq!(words(&["run", "staging", "--as=dana", "-o", "json"]), "run staging -o json");
        assert_eq!(
            words(&["rollback", "production", "--reason", "it's; $(rm) broken", "--to", ""]),
            "rollback production --reason 'it'\\''s; $(rm) broken' --to ''"
        );
        assert_eq!(words(&["run", "--as"]), "run");
    }
}
