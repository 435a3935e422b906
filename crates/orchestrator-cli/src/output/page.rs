//! A report before its sink is known: text and tables, escaped, laid out and coloured when they are printed.

use std::ops::{Add, AddAssign};

use lock_model::escaping::{code_block, escape_terminal, escape_terminal_lines};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::tone::{Screen, Tone};
use super::{Table, markdown_text};

/// Complete lines and tables. Nothing in it is escaped but the cells of its tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Tone, String),
    Table(Table),
    /// A table whose rows were shown one by one, as progress.
    Told(Table),
    /// A document that is the result itself, such as a lock.
    Document(String),
    Item(Item),
}

/// One item of a list, which may lie below another one.
#[derive(Clone, Debug)]
struct Item {
    depth: usize,
    tone: Tone,
    text: String,
}

impl Page {
    /// Text in a tone; it may be a part of a line.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(tone, text.into())] }
    }

    /// An item of a list, on lines of its own that are no longer than the screen is wide; 0 is the outermost depth.
    pub(crate) fn item(depth: usize, tone: Tone, text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Item(Item { depth, tone, text: text.into() })] }
    }

    /// Whether there is nothing on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Advice on a line of its own.
    pub(crate) fn hint(text: impl AsRef<str>) -> Self {
        Self::toned(Tone::Hint, "hint:") + format!(" {}\n", text.as_ref())
    }

    /// A table whose rows progress has shown one by one.
    pub(crate) fn told(table: Table) -> Self {
        Self { parts: vec![Part::Told(table)] }
    }

    /// A document that is the result itself, in complete lines.
    pub(crate) fn document(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Document(text.into())] }
    }

    /// The same without what progress has shown, and without the empty line before it.
    pub(crate) fn untold(&self) -> Self {
        let mut rest = Self::default();
        for part in &self.parts {
            match (part, rest.parts.last_mut()) {
                (Part::Told(_), Some(Part::Text(_, before))) if before.ends_with("\n\n") => {
                    before.truncate(before.len() - 1);
                }
                (Part::Told(_), _) => {}
                (Part::Text(..) | Part::Table(_) | Part::Document(_) | Part::Item(_), _) => {
                    rest.parts.push(part.clone());
                }
            }
        }
        rest
    }

    /// The text for a screen, a file or a pipe. Names, titles, reasons and answers of other programs are in there: none of
    /// them reaches a terminal as it is.
    pub(crate) fn to_text(&self, screen: &Screen) -> String {
        let paint = |tone: Tone, text: &str| {
            let lines = text.split_inclusive('\n').map(|line| {
                let (text, end) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
                screen.paint(tone, text) + end
            });
            lines.collect::<String>()
        };
        let texts = self.parts.iter().map(|part| match part {
            Part::Text(tone, text) => paint(*tone, &escape_terminal_lines(text)),
            Part::Document(text) => escape_terminal_lines(text),
            Part::Table(table) | Part::Told(table) => table.to_text(screen),
            Part::Item(item) => item.to_text(screen),
        });
        texts.collect()
    }

    /// What is wrong by this page: the rows with something bad in them, or its first line where no table says more.
    pub(crate) fn problems(&self) -> Vec<String> {
        let rows = self.parts.iter().flat_map(|part| match part {
            Part::Table(table) | Part::Told(table) => table.bad_rows(),
            Part::Text(..) | Part::Document(_) | Part::Item(_) => Vec::new(),
        });
        let rows: Vec<String> = rows.collect();
        if !rows.is_empty() {
            return rows;
        }
        self.to_text(&Screen::PLAIN).lines().next().map(str::to_owned).into_iter().collect()
    }

    /// The page for a step summary: every line stays one, tables are tables.
    pub(crate) fn to_markdown(&self) -> String {
        let mut markdown = String::new();
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(_, text) => {
                    let mut text = text.clone();
                    while let Some(Part::Text(_, more)) = parts.peek() {
                        text.push_str(more);
                        parts.next();
                    }
                    markdown.push_str(&paragraphs(&text));
                }
                Part::Document(text) => markdown.push_str(&code_block(text)),
                Part::Table(table) | Part::Told(table) => markdown.push_str(&format_table(table)),
                Part::Item(item) => {
                    markdown.push('\n');
                    markdown.push_str(&item.to_markdown());
                    while let Some(Part::Item(item)) = parts.peek() {
                        markdown.push_str(&item.to_markdown());
                        parts.next();
                    }
                    markdown.push('\n');
                }
            }
        }
        markdown
    }
}

impl Item {
    /// The lines that an item takes after its first one stand two columns further in.
    fn to_text(&self, screen: &Screen) -> String {
        let indent = "  ".repeat(self.depth);
        let text = escape_terminal(&self.text);
        let lines = match screen.width {
            Some(width) => broken(&text, width.saturating_sub(indent.len())),
            None => vec![text],
        };
        let line = |(index, line): (usize, &String)| {
            let more = if index == 0 { "" } else { "  " };
            format!("{indent}{more}{}\n", screen.paint(self.tone, line))
        };
        lines.iter().enumerate().map(line).collect()
    }

    fn to_markdown(&self) -> String {
        format!("{}- {}\n", "  ".repeat(self.depth), markdown_text::line(&self.text))
    }
}

/// Lines of at most this width, the later ones two columns narrower: broken after a separator where one fits, else anywhere.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let room = width.saturating_sub(if lines.is_empty() { 0 } else { 2 }).max(8);
        if rest.width() <= room {
            lines.push(rest.to_owned());
            return lines;
        }
        let (mut fits, mut best, mut used) = (0, None, 0);
        for (at, character) in rest.char_indices() {
            used += character.width().unwrap_or_default();
            if used > room {
                break;
            }
            fits = at + character.len_utf8();
            if matches!(character, ' ' | '.' | '/' | '@' | ',' | ']') {
                best = Some(fits);
            }
        }
        // A first piece that is much shorter than the line looks worse than a word that is cut.
        let end = best.filter(|end| *end > fits / 3).unwrap_or(fits).max(rest.chars().next().map_or(1, char::len_utf8));
        let (line, more) = rest.split_at(end);
        lines.push(line.trim_end().to_owned());
        rest = more.trim_start();
    }
}

/// A table of Markdown begins after an empty line and ends with one.
fn format_table(table: &Table) -> String {
    format!("\n{}\n", table.to_markdown())
}

/// Lines as Markdown, with a break at the end of each.
fn paragraphs(text: &str) -> String {
    let line =
        |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{}  \n", markdown_text::line(line)) };
    text.lines().map(line).collect()
}

impl From<String> for Page {
    fn from(text: String) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

impl From<&str> for Page {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Table> for Page {
    fn from(table: Table) -> Self {
        Self { parts: vec![Part::Table(table)] }
    }
}

impl<T: Into<Self>> AddAssign<T> for Page {
    fn add_assign(&mut self, more: T) {
        self.parts.extend(more.into().parts);
    }
}

impl<T: Into<Self>> Add<T> for Page {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self += more;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Page {
        let mut table = Table::new(&["step", "result"]);
        table.row(["deploy", "ok"]).paint("result", Tone::Good);
        let mut page = Page::toned(Tone::Good, "staging\u{1b}[31m is through");
        page += "\n\n";
        page += Page::told(table);
        page + Page::hint("`orchestrator status` shows *more*")
    }

    #[test]
    fn t51_a_screen_gets_colours_of_ours_and_no_other() {
        let text = run().to_text(&Screen { width: None, colour: true });
        assert!(text.contains("\u{1b}[32mstaging\\u{1b}[31m is through\u{1b}[0m\n\n"), "{text:?}");
        assert_eq!(
            run().to_text(&Screen::PLAIN),
            "staging\\u{1b}[31m is through\n\nSTEP    RESULT\ndeploy  ok\nhint: `orchestrator status` shows *more*\n"
        );
    }

    #[test]
    fn what_progress_has_shown_is_left_out_of_the_log_and_kept_in_the_summary() {
        assert_eq!(
            run().untold().to_text(&Screen::PLAIN),
            "staging\\u{1b}[31m is through\nhint: `orchestrator status` shows *more*\n"
        );
        let markdown = run().to_markdown();
        assert!(markdown.contains("\n\n| step | result |\n| --- | --- |\n| deploy | ok |\n\n"), "{markdown}");
        assert!(markdown.contains("\\*more\\*"), "{markdown}");
    }

    #[test]
    fn items_fit_the_screen_and_are_a_list_in_markdown() {
        let mut page = Page::from("shop-cart: image\n");
        page += Page::item(1, Tone::Plain, "change Deployment/shop-cart");
        page += Page::item(2, Tone::Plain, "spec.template.spec.containers[name=app].env[name=DATABASE_URL].valueFrom");
        page += Page::item(3, Tone::Bad, "x".repeat(100));
        page += "end\n";
        let text = page.to_text(&Screen { width: Some(60), colour: false });
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(
            text.contains("\n    spec.template.spec.containers[name=app].env[name=DATABASE\n      _URL].valueFrom\n")
                || text.contains("containers[name=app].\n      env"),
            "{text}"
        );
        assert!(
            page.to_text(&Screen::PLAIN)
                .contains("\n    spec.template.spec.containers[name=app].env[name=DATABASE_URL].valueFrom\n")
        );
        let markdown = page.to_markdown();
        assert!(markdown.contains("shop-cart: image  \n\n  - change Deployment/shop-cart\n    - spec"), "{markdown}");
        assert!(markdown.contains("\n\nend"), "{markdown}");
    }
}
