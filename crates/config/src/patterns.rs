//! Patterns over the paths and names of services.

use std::fmt;

use lock_model::{ErrorClass, ServiceName, TreePath};

/// A pattern of the configuration: `services/*`, `**/shop-{cart,catalog-*}`, or a service's name.
///
/// With a `/` it is compared with the whole path: `*` and `?` stop at `/`, `**` spans it, `{a,b*}` are alternatives,
/// case counts. Without a `/` it is compared with the service's name; `**` is everything.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    matcher: globset::GlobMatcher,
    by_name: bool,
}

/// Text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a pattern: {why}", lock_model::escaping::escape_terminal(text))]
pub struct PatternError {
    text: String,
    why: String,
}

impl PatternError {
    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }

    /// What is wrong, without the text.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl Pattern {
    /// Parses a pattern; character classes, `!` and `**` beside other characters are refused.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let fail = |why: String| PatternError { text: text.to_owned(), why };
        check(text).map_err(|why| fail(why.to_owned()))?;
        let glob = globset::GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(false)
            .build()
            .map_err(|error| fail(error.kind().to_string()))?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
            by_name: !text.contains('/') && text != "**",
        })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a service with this name at this path is meant.
    pub fn matches(&self, name: &ServiceName, path: &TreePath) -> bool {
        self.matches_text(name.as_str(), path.as_str())
    }

    /// Whether a path is meant, before its service has a name: its last segment stands for the name.
    pub fn matches_path(&self, path: &TreePath) -> bool {
        self.matches_text(path.file_name(), path.as_str())
    }

    /// Each alternative in braces, those within alternatives after the one that they are in.
    pub(super) fn alternatives(&self) -> Vec<Alternative> {
        let mut found = Vec::new();
        self.take_apart("", &self.text, "", None, &mut found);
        found
    }

    /// Adds the alternatives of `inner`, which stands between two texts and is part of alternative number `within`.
    fn take_apart(&self, before: &str, inner: &str, after: &str, within: Option<usize>, found: &mut Vec<Alternative>) {
        let (mut depth, mut begin, mut cuts) = (0_usize, 0, Vec::new());
        for (index, character) in inner.char_indices() {
            match character {
                '{' if depth == 0 => (depth, begin, cuts) = (1, index, vec![index]),
                '{' => depth += 1,
                ',' if depth == 1 => cuts.push(index),
                '}' if depth == 1 => {
                    depth = 0;
                    cuts.push(index);
                    let text = |from: usize, to: usize| inner.get(from..to).unwrap_or_default();
                    let (before, after) =
                        (format!("{before}{}", text(0, begin)), format!("{}{after}", text(index + 1, inner.len())));
                    for cut in cuts.windows(2) {
                        let &[from, to] = cut else { continue };
                        let part = text(from + 1, to);
                        let Ok(alone) = Self::new(&format!("{before}{part}{after}")) else { continue };
                        let pattern = Self { by_name: self.by_name, ..alone };
                        found.push(Alternative { text: part.to_owned(), pattern, within });
                        self.take_apart(&before, part, &after, Some(found.len() - 1), found);
                    }
                }
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn matches_text(&self, name: &str, path: &str) -> bool {
        self.matcher.is_match(if self.by_name { name } else { path })
    }
}

/// One alternative of a pattern with braces.
pub(super) struct Alternative {
    /// What stands between the commas; may be empty.
    pub(super) text: String,
    /// What is left of the whole pattern when this alternative is taken.
    pub(super) pattern: Pattern,
    /// Number of the alternative that it is a part of.
    pub(super) within: Option<usize>,
}

/// What globset would accept in a sense that is not documented here is refused.
fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if matches!(text, "@third-party" | "@databases") {
        return Err("it is not available yet: remove it");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("paths of services hold no white space or control characters");
    }
    if text.contains(['[', ']', '!', '\\']) {
        return Err("only `*`, `?`, `**` and `{a,b}` have a meaning; `[`, `]`, `!` and `\\` have none");
    }
    if text.starts_with('/') || text.starts_with("./") || text.starts_with("../") {
        return Err("paths are written from the top folder, without a leading `/` or `.`");
    }
    if text.starts_with('-') {
        return Err("it starts with `-`");
    }
    if text.ends_with('/') {
        return Err("it ends with `/`; a service is named without it");
    }
    let bytes = text.as_bytes();
    let mut position = 0;
    while let Some(found) = text.get(position..).and_then(|rest| rest.find("**")) {
        let start = position + found;
        let before = start.checked_sub(1).and_then(|index| bytes.get(index));
        let after = bytes.get(start + 2);
        if !matches!(before, None | Some(b'/' | b'{' | b',')) || !matches!(after, None | Some(b'/' | b'}' | b',')) {
            return Err("`**` stands alone between two `/`");
        }
        position = start + 2;
    }
    Ok(())
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl PartialOrd for Pattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Pattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::new(pattern).unwrap().matches_path(&TreePath::try_from(path).unwrap())
    }

    #[test]
    fn stars_stop_at_slashes_and_double_stars_do_not() {
        for (pattern, path, expected) in [
            ("services/*", "services/cart", true),
            ("services/*", "services/a/cart", false),
            ("services/**", "services/a/cart", true),
            ("services/**", "services", false),
            ("**/cart", "services/a/cart", true),
            ("**/cart", "cart", true),
            ("**", "services/a/cart", true),
            ("services/c?rt", "services/cart", true),
            ("services?cart", "services/cart", false),
            ("**/shop-{runner,auth-*}", "infra/shop-auth-login", true),
            ("**/shop-{runner,auth-*}", "infra/shop-auths", false),
            ("services/Cart", "services/cart", false),
            ("cart", "services/cart", true),
            ("car*", "services/cart", true),
            ("*", "services/cart", true),
            ("services", "services/cart", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_word_is_the_name_of_a_service_even_when_the_path_says_otherwise() {
        let name = ServiceName::try_from("basket").unwrap();
        let path = TreePath::try_from("services/cart").unwrap();
        assert!(Pattern::new("basket").unwrap().matches(&name, &path));
        assert!(!Pattern::new("cart").unwrap().matches(&name, &path));
        assert!(Pattern::new("services/cart").unwrap().matches(&name, &path));
    }

    #[test]
    fn each_alternative_stands_alone() {
        let alternatives = |text: &str| -> Vec<(String, String, bool)> {
            let all = Pattern::new(text).unwrap().alternatives();
            all.into_iter().map(|one| (one.text, one.pattern.text.clone(), one.pattern.by_name)).collect()
        };
        let one = |part: &str, text: &str, by_name| (part.to_owned(), text.to_owned(), by_name);
        assert_eq!(alternatives("services/*"), []);
        assert_eq!(alternatives("shop-{a,b-*}"), [one("a", "shop-a", true), one("b-*", "shop-b-*", true)]);
        assert_eq!(
            alternatives("{a,b}/{c,d}"),
            [
                one("a", "a/{c,d}", false),
                one("b", "b/{c,d}", false),
                one("c", "{a,b}/c", false),
                one("d", "{a,b}/d", false)
            ]
        );
        assert_eq!(
            alternatives("s-{a,{b,c}}/{d,e}").into_iter().map(|(_, alone, _)| alone).collect::<Vec<_>>(),
            ["s-a/{d,e}", "s-{b,c}/{d,e}", "s-b/{d,e}", "s-c/{d,e}", "s-{a,{b,c}}/d", "s-{a,{b,c}}/e"]
        );
        // A word alone would be a name: within this pattern it is a path.
        assert_eq!(
            alternatives("{services/cart,web}"),
            [one("services/cart", "services/cart", false), one("web", "web", false)]
        );
    }

    #[test]
    fn what_has_no_documented_meaning_is_refused() {
        for bad in
            ["", "a[b]", "!a", "a\\b", "/a", "./a", "../a", "a/", "a**", "**a/b", "a/{b", "a}", "a b", "-a", "a\n"]
        {
            assert!(Pattern::new(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Pattern::new("a**/b").unwrap_err().to_string(),
            "`a**/b` is not a pattern: `**` stands alone between two `/`"
        );
    }
}
