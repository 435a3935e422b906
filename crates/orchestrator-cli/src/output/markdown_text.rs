//! Text for the step summary, which people copy from.

use lock_model::escaping::{code_span, escape_markdown};

/// What keeps apart what a renderer would make a link or a mention of.
const APART: char = '\u{200b}';

/// One line of text. A word that only an invisible character keeps from becoming a link or a mention, such as the reference of
/// an image, stands as code: what is copied from there is the word.
pub(super) fn line(text: &str) -> String {
    let word = |word: &str| {
        let escaped = escape_markdown(word);
        // Within a table a bar ends the cell, also in code.
        if escaped.contains(APART) && !word.contains('|') { code_span(word) } else { escaped }
    };
    text.trim().split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A list of texts.
pub(super) fn items<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    texts.into_iter().flat_map(|text| ["- ".to_owned(), line(text), "\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_is_copied_from_a_line_is_what_was_meant() {
        let reference = "registry.example/shop/cart:main-3dfc5ec@sha256:0963";
        assert_eq!(line(reference), format!("`{reference}`"));
        assert_eq!(line("at 10:29:23Z by @dana: *ok* 1 | 2"), "at `10:29:23Z` by `@dana:` \\*ok\\* 1 \\| 2");
        assert_eq!(line("a:b|c"), "a:\u{200b}b\\|c");
        assert_eq!(line("`#1` a`:b"), "`` `#1` `` ``a`:b``");
    }
}
