//! Short texts that several commands share.

use lock_model::{Change, LockDiff};

use crate::error::Problem;

/// The first twelve digits of an id, without `sha256:`.
pub(crate) fn short_id(id: &str) -> String {
    match id.split_once(':') {
        Some((_, hex)) => hex.chars().take(12).collect(),
        None => id.chars().take(12).collect(),
    }
}

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// What helps with a name that is not known: the nearest that there is, and all of them.
pub(crate) fn other_names<'a>(word: &str, holder: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    if names.is_empty() {
        return format!("{holder} has none");
    }
    let all = format!("{holder} has: {}", names.join(", "));
    match config::nearest(word, names) {
        Some(near) => format!("did you mean `{near}`? {all}"),
        None => all,
    }
}

/// What differs between two locks, one entry a service.
pub(crate) fn diff_problems(diff: &LockDiff) -> Vec<Problem> {
    let services = diff.services.iter().map(|(name, change)| (name.to_string(), change_lines(change)));
    let third_party = diff.third_party.iter().map(|(name, change)| (name.to_string(), change_lines(change)));
    let mut problems: Vec<Problem> = services
        .chain(third_party)
        .map(|(subject, lines)| {
            let mut lines = lines.into_iter();
            Problem { subject, message: lines.next().unwrap_or_default(), details: lines.collect() }
        })
        .collect();
    for (words, exceptions) in [("is new", &diff.exceptions_added), ("is gone", &diff.exceptions_removed)] {
        problems.extend(exceptions.iter().map(|exception| {
            Problem::new(
                exception.subject.to_string(),
                format!("the exception `{}` {words}: {}", exception.kind, exception.reason),
            )
        }));
    }
    problems
}

fn change_lines<T>(change: &Change<T>) -> Vec<String> {
    match change {
        Change::Added { .. } => vec!["is new".to_owned()],
        Change::Removed { .. } => vec!["is gone".to_owned()],
        Change::Changed { fields } => fields
            .iter()
            .map(|field| {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                format!("{}: {} → {}", field.field, shown(&field.before), shown(&field.after))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::other_names;

    #[test]
    fn a_wrong_name_gets_the_nearest_one_and_all() {
        for (word, near) in [("stagign", "staging"), ("Staging", "staging"), ("prodution", "production")] {
            let expected = format!("did you mean `{near}`? the configuration has: staging, production");
            assert_eq!(other_names(word, "the configuration", ["staging", "production"]), expected);
        }
        assert_eq!(other_names("canary", "the tree", ["staging"]), "the tree has: staging");
        assert_eq!(other_names("canary", "the tree", []), "the tree has none");
    }
}
