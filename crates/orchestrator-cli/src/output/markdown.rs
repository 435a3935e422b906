//! Markdown as a person reads it on a terminal: what only marks the text up is left out, tables are aligned.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::{Page, Table};

/// Complete lines; empty where there is nothing to read.
pub(crate) fn to_page(markdown: &str) -> Page {
    let mut reader = Reader::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        reader.take(event);
    }
    let text = reader.text.trim_end();
    if text.is_empty() { reader.page } else { reader.page + format!("{text}\n") }
}

#[derive(Default)]
struct Reader {
    page: Page,
    /// What follows on the page.
    text: String,
    /// What has been read of the present paragraph, heading, item or cell.
    line: String,
    /// The present lists, outermost first: the number of the next item, where they have numbers.
    lists: Vec<Option<u64>>,
    /// How many quotes the present text is in.
    quotes: usize,
    /// Where the present link leads.
    link: Option<String>,
    in_code: bool,
    /// The rows of the present table, its heading first.
    rows: Vec<Vec<String>>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => self.code(&text),
            // What keeps a forge from making a link of `#3`.
            Event::Text(text) => self.line.push_str(&text.replace('\u{200b}', "")),
            Event::Code(text) => self.line.extend(["`", &text, "`"]),
            Event::SoftBreak | Event::HardBreak => self.line.push('\n'),
            Event::Rule => self.block("────────"),
            Event::Html(html) | Event::InlineHtml(html) => self.line.push_str(&without_tags(&html)),
            // Only with options that are not asked for.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.line.push_str(&text);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::List(first) => {
                self.flush();
                self.lists.push(first);
            }
            Tag::Item => {
                self.flush();
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    Some(None) | None => "- ".to_owned(),
                };
                self.line.push_str(&marker);
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.quotes += 1;
            }
            Tag::CodeBlock(_) => {
                self.flush();
                self.in_code = true;
            }
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.link = Some(dest_url.into_string()),
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.flush();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            TagEnd::Heading(_) => {
                let heading = std::mem::take(&mut self.line);
                self.gap();
                self.block(&heading);
                self.block(&"─".repeat(heading.chars().count()));
            }
            TagEnd::Item => self.flush(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.quotes -= 1;
                self.gap();
            }
            TagEnd::CodeBlock => {
                self.in_code = false;
                self.gap();
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some(address) = self.link.take().filter(|address| !self.line.ends_with(address.as_str())) {
                    self.line.extend([" (", &address, ")"]);
                }
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.line);
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                let (heading, rows) = rows.split_first().map_or((&[][..], &[][..]), |(first, rest)| (first, rest));
                let mut table = Table::new(heading);
                for row in rows {
                    table.row(row);
                }
                self.page += std::mem::take(&mut self.text);
                self.page += table;
                self.gap();
            }
            _ => {}
        }
    }

    fn code(&mut self, text: &str) {
        for line in text.lines() {
            self.block(&format!("    {line}"));
        }
    }

    /// Ends the present line.
    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() {
            self.block(line.trim_end());
        }
    }

    /// Adds whole lines, as deep as the present lists and quotes are.
    fn block(&mut self, block: &str) {
        let depth = "  ".repeat(self.lists.len().saturating_sub(1));
        for line in block.lines() {
            self.text.extend(["> ".repeat(self.quotes).as_str(), depth.as_str(), line, "\n"]);
        }
    }

    /// Makes the next line begin after an empty one.
    fn gap(&mut self) {
        let is_first = self.text.is_empty() && self.page.is_empty();
        if !is_first && !self.text.ends_with("\n\n") && self.text != "\n" {
            self.text.push('\n');
        }
    }
}

/// Text of HTML; comments and tags are no text.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        let end = if tag.starts_with("!--") { "-->" } else { ">" };
        rest = tag.split_once(end).map_or("", |(_, after)| after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::to_page;
    use crate::output::Screen;

    fn to_text(markdown: &str) -> String {
        to_page(markdown).to_text(&Screen::PLAIN)
    }

    #[test]
    fn a_comment_is_text_and_tables_on_a_terminal() {
        let markdown = "<!-- orchestrator:promotion -->\n\
            ## Lock `3b59`\n\n\
            Release **03d8** of #\u{200b}7,\n[cart](https://forge.example/cart).\n\n\
            | service | image |  |\n| --- | --- | --- |\n| `shop-cart` | `main-1 \\| x` | new, self\\_asserted |\n\n\
            - one\n- two\n  - deep\n\n\
            1. first\n2. second\n\n\
            > quoted\n\n\
            ```text\ndiff `a`\n```\n\n\
            <details><summary>More</summary>\n\nhidden\n\n</details>\n";
        let text = "\
Lock `3b59`
───────────
Release 03d8 of #7,
cart (https://forge.example/cart).

SERVICE      IMAGE
`shop-cart`  `main-1 | x`  new, self_asserted

- one
- two
  - deep

1. first
2. second

> quoted

    diff `a`

More

hidden
";
        assert_eq!(to_text(markdown), text);
    }

    #[test]
    fn markup_without_text_is_nothing() {
        for markdown in ["", "\n\n", "<!-- marker -->\n", "<!-- never ends", "<br>"] {
            assert_eq!(to_text(markdown), "", "{markdown}");
        }
        assert_eq!(to_text("a < b and 2 > 1\n"), "a < b and 2 > 1\n");
    }
}
