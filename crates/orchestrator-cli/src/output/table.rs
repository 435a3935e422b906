//! Results that people compare: aligned columns, no frame, so that they paste well.

use lock_model::escaping::escape_terminal;
use unicode_width::UnicodeWidthStr;

use super::markdown_text;
use super::tone::{Screen, Tone};

/// What stands between two columns.
const GAP: usize = 2;
/// A column of several words is not squeezed below this before a less important one is left out.
const READABLE: usize = 16;

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<String>,
    /// Headings of the columns that a narrow screen does without, the least important first.
    dispensable: &'static [&'static str],
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
struct Cell {
    text: String,
    tone: Tone,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<S: AsRef<str>>(headings: &[S]) -> Self {
        let headings = headings.iter().map(|heading| escape_terminal(heading.as_ref())).collect();
        Self { headings, dispensable: &[], rows: Vec::new() }
    }

    /// Names the columns that a narrow screen does without, the least important first.
    pub(crate) fn dispensable(self, headings: &'static [&'static str]) -> Self {
        Self { dispensable: headings, ..self }
    }

    /// Adds a row; control characters in a cell are shown, not sent to the terminal.
    pub(crate) fn row<I>(&mut self, cells: I) -> &mut Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let cell = |cell: I::Item| Cell { text: escape_terminal(cell.as_ref()), tone: Tone::Plain };
        self.rows.push(cells.into_iter().map(cell).collect());
        self
    }

    /// Gives the last row's cell below a heading a tone.
    pub(crate) fn paint(&mut self, heading: &str, tone: Tone) -> &mut Self {
        let index = self.headings.iter().position(|one| *one == heading);
        let row = self.rows.last_mut();
        if let Some(cell) = index.zip(row).and_then(|(index, row)| row.get_mut(index)) {
            cell.tone = tone;
        }
        self
    }

    /// The rows with a bad cell, each with the rows that go on below it.
    pub(super) fn bad_rows(&self) -> Vec<String> {
        let mut bad: Vec<String> = Vec::new();
        let mut goes_on = false;
        for row in &self.rows {
            let said: Vec<&str> = row.iter().map(|cell| cell.text.trim()).filter(|text| !text.is_empty()).collect();
            if row.first().is_some_and(|cell| cell.text.is_empty()) {
                if let Some(last) = bad.last_mut().filter(|_| goes_on) {
                    last.extend(["\n", &said.join(": ")]);
                }
                continue;
            }
            goes_on = row.iter().any(|cell| cell.tone == Tone::Bad);
            if goes_on {
                bad.push(said.join(": "));
            }
        }
        bad
    }

    /// True where there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The aligned text, each line ended by a line feed; the last one names the columns that do not fit.
    pub(super) fn to_text(&self, screen: &Screen) -> String {
        let columns = Layout::of(self, screen.width);
        let heading = |index: &usize| (self.headings[*index].to_ascii_uppercase(), Tone::Heading);
        let mut text = columns.line(screen, |index| heading(&index));
        for row in &self.rows {
            let cell =
                |index: usize| row.get(index).map_or_else(Default::default, |cell| (cell.text.clone(), cell.tone));
            text.push_str(&columns.line(screen, cell));
        }
        let is_shown = |index: &usize| columns.columns.iter().any(|(shown, _)| shown == index);
        let left_out: Vec<&str> = (0..self.headings.len())
            .filter(|index| !is_shown(index))
            .map(|index| self.headings[index].as_str())
            .collect();
        if let Some(width) = screen.width.filter(|_| !left_out.is_empty()) {
            let note = format!("columns left out: {}; `-o json` has all", left_out.join(", "));
            for line in wrap(&note, width) {
                text.push_str(&screen.paint(Tone::Quiet, &line));
                text.push('\n');
            }
        }
        text
    }

    /// The same as a table in Markdown, with every column.
    pub(super) fn to_markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        let mut text = line(&mut self.headings.iter().map(|heading| markdown_text::line(heading)));
        text.push_str(&line(&mut self.headings.iter().map(|_| "---".to_owned())));
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(|cell| markdown_text::line(&cell.text))));
        }
        text
    }
}

/// The columns that are shown, and how wide each is.
struct Layout {
    columns: Vec<(usize, usize)>,
}

/// Where a text may be broken: between words, or also within what consists of parts, such as paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Words,
    Parts,
}

impl Layout {
    fn of(table: &Table, width: Option<usize>) -> Self {
        let mut shown: Vec<usize> = (0..table.headings.len()).collect();
        let texts = |index: usize| {
            let cells = table.rows.iter().filter_map(move |row| row.get(index)).map(|cell| cell.text.as_str());
            std::iter::once(table.headings[index].as_str()).chain(cells)
        };
        let widest = |index: usize| texts(index).map(UnicodeWidthStr::width).max().unwrap_or_default();
        let natural = |shown: &[usize]| shown.iter().map(|index| (*index, widest(*index))).collect::<Vec<_>>();
        let Some(width) = width.filter(|width| total(&natural(&shown)) > *width) else {
            return Self { columns: natural(&shown) };
        };
        let floor = |index: usize, at: Break| {
            let words = texts(index).flat_map(|text| pieces(text, at));
            let longest = words.map(|word| word.trim_end().width()).max().unwrap_or_default();
            longest.max(widest(index).min(READABLE))
        };
        let floors = |shown: &[usize], at| shown.iter().map(|index| (*index, floor(*index, at))).collect::<Vec<_>>();
        let mut dispensable = table.dispensable.iter();
        while total(&floors(&shown, Break::Words)) > width {
            let Some(least) = dispensable.next() else { break };
            shown.retain(|index| table.headings[*index] != *least);
        }
        let mut columns = floors(&shown, Break::Words);
        if total(&columns) > width {
            columns = floors(&shown, Break::Parts);
        }
        // What is left goes where most is wanting, so that no cell takes more lines than it must.
        for _ in total(&columns)..width {
            let wanting = |(index, width): &(usize, usize)| widest(*index).saturating_sub(*width);
            let Some(column) = columns.iter_mut().max_by_key(|column| wanting(column)) else { break };
            column.1 += usize::from(wanting(column) > 0);
        }
        Self { columns }
    }

    /// One row, which takes as many lines as its highest cell.
    fn line(&self, screen: &Screen, cell: impl Fn(usize) -> (String, Tone)) -> String {
        let cells: Vec<(Vec<String>, Tone, usize)> = self
            .columns
            .iter()
            .map(|(index, width)| {
                let (text, tone) = cell(*index);
                (wrap(&text, *width), tone, *width)
            })
            .collect();
        let height = cells.iter().map(|(lines, _, _)| lines.len()).max().unwrap_or_default();
        let mut text = String::new();
        for number in 0..height {
            let mut pending = 0;
            for (lines, tone, width) in &cells {
                let part = lines.get(number).map(String::as_str).unwrap_or_default();
                if !part.is_empty() {
                    text.push_str(&" ".repeat(pending));
                    text.push_str(&screen.paint(*tone, part));
                    pending = 0;
                }
                pending += width.saturating_sub(part.width()) + GAP;
            }
            text.push('\n');
        }
        text
    }
}

fn total(columns: &[(usize, usize)]) -> usize {
    columns.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// The pieces of a text that stay whole, each with what separates it from the next. A digest is always one piece.
fn pieces(text: &str, at: Break) -> impl Iterator<Item = &str> {
    let ends = move |c: char| c == ' ' || (at == Break::Parts && matches!(c, '/' | '@' | ','));
    text.split_inclusive(ends)
}

/// Lines of at most this width, broken between words, and within a word only where it has parts and no line takes it.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut add = |piece: &str| {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() || line.width() + piece.trim_end().width() <= width {
            line.push_str(piece);
        } else {
            lines.push(piece.to_owned());
        }
    };
    for word in pieces(text, Break::Words) {
        if word.trim_end().width() <= width {
            add(word);
        } else {
            pieces(word, Break::Parts).for_each(&mut add);
        }
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";

    fn services() -> Table {
        let mut table = Table::new(&["service", "commit", "image", "note"]).dispensable(&["note", "commit"]);
        table.row(["shop-cart", "6b86b273ff34", "registry.example/shop/cart:main-6b86b27", "was built again by hand"]);
        table.row(["shop-web", "ff34fce19d6b", "registry.example/shop/web:main-ff34fce", "-"]);
        table
    }

    fn at(table: &Table, width: usize) -> String {
        table.to_text(&Screen { width: Some(width), colour: false })
    }

    #[test]
    fn a_pipe_gets_every_column_on_one_line_and_a_screen_what_fits() {
        let table = services();
        let whole = table.to_text(&Screen::PLAIN);
        assert_eq!(whole.lines().count(), 3);
        assert_eq!(at(&table, 200), whole);
        assert_eq!(
            at(&table, 82),
            "SERVICE    COMMIT        IMAGE                                    NOTE\n\
             shop-cart  6b86b273ff34  registry.example/shop/cart:main-6b86b27  was built again\n\
             \x20                                                                 by hand\n\
             shop-web   ff34fce19d6b  registry.example/shop/web:main-ff34fce   -\n"
        );
        assert_eq!(
            at(&table, 60),
            "SERVICE    IMAGE\n\
             shop-cart  registry.example/shop/cart:main-6b86b27\n\
             shop-web   registry.example/shop/web:main-ff34fce\n\
             columns left out: commit, note; `-o json` has all\n"
        );
        assert_eq!(
            at(&table, 33),
            "SERVICE    IMAGE\n\
             shop-cart  registry.example/shop/\n\
             \x20          cart:main-6b86b27\n\
             shop-web   registry.example/shop/\n\
             \x20          web:main-ff34fce\n\
             columns left out: commit, note;\n\
             `-o json` has all\n"
        );
    }

    #[test]
    fn a_digest_is_never_broken_and_no_line_is_wider_than_the_screen_where_words_allow_it() {
        let mut table = Table::new(&["what", "says"]);
        table.row(["the lock of pull request 7", &format!("digest {DIGEST} of registry.example/shop/cart is gone")]);
        for width in 20..160 {
            let text = at(&table, width);
            assert!(text.contains(DIGEST), "{width}: {text}");
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width.max(DIGEST.len() + 2 + READABLE), "{width}: {text}");
        }
    }

    #[test]
    fn wide_characters_count_as_two_and_colours_as_nothing() {
        let mut table = Table::new(&["name", "state"]);
        table.row(["日本", "ok"]).paint("state", Tone::Good);
        assert_eq!(table.to_text(&Screen::PLAIN), "NAME  STATE\n日本  ok\n");
        let coloured = table.to_text(&Screen { width: Some(60), colour: true });
        assert_eq!(coloured, "\u{1b}[1mNAME\u{1b}[0m  \u{1b}[1mSTATE\u{1b}[0m\n日本  \u{1b}[32mok\u{1b}[0m\n");
    }
}
