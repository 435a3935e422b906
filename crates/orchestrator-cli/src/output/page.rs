//! A report before its sink is known: text and tables, escaped, laid out and coloured when they are printed.

use std::ops::{Add, AddAssign};

use lock_model::escaping::{code_block, escape_markdown, escape_terminal_lines};

use super::Table;
use super::tone::{Screen, Tone};

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
}

impl Page {
    /// Text in a tone; it may be a part of a line.
    pub(crate) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(tone, text.into())] }
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
                (Part::Text(..) | Part::Table(_) | Part::Document(_), _) => rest.parts.push(part.clone()),
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
        });
        texts.collect()
    }

    /// What is wrong by this page: the rows with something bad in them, or its first line where no table says more.
    pub(crate) fn problems(&self) -> Vec<String> {
        let rows = self.parts.iter().flat_map(|part| match part {
            Part::Table(table) | Part::Told(table) => table.bad_rows(),
            Part::Text(..) | Part::Document(_) => Vec::new(),
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
            }
        }
        markdown
    }
}

/// A table of Markdown begins after an empty line and ends with one.
fn format_table(table: &Table) -> String {
    format!("\n{}\n", table.to_markdown())
}

/// Lines as Markdown, with a break at the end of each.
fn paragraphs(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{}  \n", escape_markdown(line)) };
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
}
