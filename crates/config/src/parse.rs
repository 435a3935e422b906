//! YAML events → the tree of nodes. What the configuration has no use for is refused here: anchors, aliases, tags,
//! merge keys, duplicate keys, several documents, invisible characters.

use std::collections::BTreeSet;

use lock_model::escaping::is_hidden;
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::problem::{Problems, Source};
use super::scalar;
use super::tree::{Entry, Map, Node, Origin, Place, Value};

const LARGEST: usize = 1024 * 1024;
const DEEPEST: usize = 32;

/// Reads the text; `None` where there is no tree to go on with. Problems that leave a tree are only added.
pub(super) fn parse(bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    if bytes.len() > LARGEST {
        problems.add_at(None, format!("the file has {} bytes; at most {LARGEST} are read", bytes.len()));
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = String::from_utf8_lossy(before).matches('\n').count() + 1;
            problems.add_at(None, format!("the file is not UTF-8: line {line} holds a byte that is not text"));
            return None;
        }
    };
    let options = granit_parser::options! {
        strict_indentation: true,
        disallow_directives: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let hidden = refuse_hidden(&text, problems);
    let parser = Parser::new_from_str_with_options(&text, options);
    let mut builder = Builder { events: parser, problems, hidden };
    match builder.document() {
        Ok(node) => node,
        Err(error) => {
            let mark = error.marker();
            let place = Place { line: mark.line().max(1), column: mark.col() + 1, path: String::new(), width: 1 };
            problems.add_at(Some(place), format!("not YAML: {}", error.info()));
            None
        }
    }
}

struct Builder<'input, 'problems> {
    events: Parser<'input, StrInput<'input>>,
    problems: &'problems mut Problems,
    /// Characters that cannot be seen, of which each line has its problem already.
    hidden: BTreeSet<char>,
}

/// Adds a problem for each line with a character that cannot be seen, comments included, and gives those characters. Tabs are
/// allowed here: the parser refuses one that indents.
fn refuse_hidden(text: &str, problems: &mut Problems) -> BTreeSet<char> {
    let mut found = BTreeSet::new();
    // The mark with which some editors begin a file is none of its content.
    let begins = usize::from(text.starts_with('\u{feff}'));
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let skipped = if index == 0 { begins } else { 0 };
        let mut hidden = line.chars().enumerate().skip(skipped).filter(|(_, c)| is_hidden(*c) && *c != '\t').peekable();
        if let Some((column, character)) = hidden.peek().copied() {
            let place = Place { line: index + 1, column: column + 1, path: String::new(), width: 1 };
            let shown = character.escape_unicode();
            problems
                .add_at(Some(place), format!("the line holds `{shown}`, which cannot be seen"))
                .with_hint("take it out: people review what they see");
        }
        found.extend(hidden.map(|(_, character)| character));
    }
    found
}

/// How a node is reached.
struct Step<'a> {
    path: String,
    /// Where the key stands, for a value that is left empty.
    key: Option<&'a Origin>,
}

impl<'input> Builder<'input, '_> {
    fn next(&mut self) -> Result<(Event<'input>, Span), ScanError> {
        // The parser ends every stream with `StreamEnd`, which is asked for last.
        self.events.next().unwrap_or_else(|| Ok((Event::StreamEnd, Span::default())))
    }

    fn document(&mut self) -> Result<Option<Node>, ScanError> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents == 2 {
                        self.problems.add(&origin(&span, String::new()), "a second document begins here; one is read");
                    }
                }
                event => {
                    let node = self.node(event, &span, &Step { path: String::new(), key: None })?;
                    root.get_or_insert(node);
                }
            }
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'input>, span: &Span, step: &Step<'_>) -> Result<Node, ScanError> {
        let origin = origin(span, step.path.clone());
        if event.tag().is_some() {
            self.problems.add(&origin, "tags (`!…`) have no meaning here");
        }
        if event.anchor_id().is_some() {
            self.problems
                .add(&origin, "anchors (`&…`) have no meaning here")
                .with_hint("`base` is what environments have in common");
        }
        match event {
            Event::Scalar(text, style, ..) => Ok(self.scalar(&text, style, origin, step)),
            Event::SequenceStart(..) => self.list(origin),
            Event::MappingStart(..) => self.map(origin),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.problems
                    .add(&origin, "aliases (`*…`) have no meaning here")
                    .with_hint("`base` is what environments have in common; a pattern with `*` in front is quoted");
                // Said once: no later pass complains about what is missing in its place.
                Ok(Node { value: Value::Null { removes: true }, origin })
            }
            // These hold no value; the parser sends none of them where a value stands.
            _ => Ok(Node { value: Value::Null { removes: false }, origin }),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, origin: Origin, step: &Step<'_>) -> Node {
        if let Some(character) = text.chars().find(|c| is_hidden(*c) && *c != '\n' && !self.hidden.contains(c)) {
            let shown = character.escape_unicode();
            self.problems.add(&origin, format!("the text holds `{shown}`, which cannot be seen"));
        }
        let value = match style {
            ScalarStyle::Plain => scalar::plain(text),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted | ScalarStyle::Literal | ScalarStyle::Folded => {
                Value::Text(text.to_owned())
            }
        };
        let origin = match (text.is_empty() && style == ScalarStyle::Plain, step.key) {
            (true, Some(Origin::File(key))) => Origin::File(Place { path: step.path.clone(), ..key.clone() }),
            _ => origin,
        };
        Node { value, origin }
    }

    fn list(&mut self, origin: Origin) -> Result<Node, ScanError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(Node { value: Value::List(items), origin });
            }
            let path = format!("{}[{}]", origin.path(), items.len());
            items.push(self.node(event, &span, &Step { path, key: None })?);
        }
    }

    fn map(&mut self, origin: Origin) -> Result<Node, ScanError> {
        let mut map = Map::default();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd | Event::StreamEnd) {
                return Ok(Node { value: Value::Map(map), origin });
            }
            let key = self.key(event, &span, &origin)?;
            let (event, span) = self.next()?;
            let Some((key, key_origin)) = key else {
                let path = format!("{}.?", origin.path());
                self.node(event, &span, &Step { path, key: None })?;
                continue;
            };
            let step = Step { path: key_origin.path().to_owned(), key: Some(&key_origin) };
            let node = self.node(event, &span, &step)?;
            if let Some(earlier) = map.entry(&key) {
                let line = earlier.key_origin.place().map_or(0, |place| place.line);
                self.problems.add(&key_origin, format!("the key stands twice; first in line {line}"));
            } else {
                map.entries.push(Entry { key, key_origin, node });
            }
        }
    }

    fn key(
        &mut self,
        event: Event<'input>,
        span: &Span,
        parent: &Origin,
    ) -> Result<Option<(String, Origin)>, ScanError> {
        let parent_path = parent.path();
        let Some((text, style)) = event.scalar().map(|(text, style)| (text.to_owned(), style)) else {
            let step = Step { path: format!("{parent_path}.?"), key: None };
            let node = self.node(event, span, &step)?;
            if !matches!(node.value, Value::Null { .. }) {
                self.problems.add(&node.origin, "a key is text");
            }
            return Ok(None);
        };
        let origin = origin(span, join(parent_path, &text));
        if text == "<<" && style == ScalarStyle::Plain {
            self.problems
                .add(&origin, "merge keys (`<<`) have no meaning here")
                .with_hint("`base` is what environments have in common");
            return Ok(None);
        }
        let node = self.scalar(&text, style, origin.clone(), &Step { path: origin.path().to_owned(), key: None });
        if !matches!(node.value, Value::Text(_)) {
            let reads_as = match node.value {
                Value::Ambiguous { reads_as, .. } => reads_as,
                ref other => Node { value: other.clone(), origin: origin.clone() }.kind(),
            };
            self.problems
                .add(&origin, format!("a key is text, and this one is {reads_as} to some YAML readers"))
                .with_hint(format!("put it in quotes: `{text:?}`"));
        }
        Ok(Some((text, origin)))
    }
}

fn origin(span: &Span, path: String) -> Origin {
    let (start, end) = (span.start, span.end);
    let width = if start.line() == end.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Origin::File(Place { line: start.line().max(1), column: start.col() + 1, path, width: width.max(1) })
}

/// `parent.key`, with quotes around a key that is more than a word.
pub(super) fn join(parent: &str, key: &str) -> String {
    let word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let key = if word { key.to_owned() } else { format!("{key:?}") };
    if parent.is_empty() { key } else { format!("{parent}.{key}") }
}

/// Reads a default: YAML of ours.
pub(super) fn default_value(text: &str) -> Node {
    let source = Source { name: "default".into(), text: text.into() };
    let mut problems = Problems::new(source);
    let mut node = parse(text.as_bytes(), &mut problems).expect("defaults are YAML, which a test reads");
    forget_places(&mut node);
    node
}

fn forget_places(node: &mut Node) {
    node.origin = Origin::Default;
    match &mut node.value {
        Value::Map(map) => {
            for entry in &mut map.entries {
                entry.key_origin = Origin::Default;
                forget_places(&mut entry.node);
            }
        }
        Value::List(items) => items.iter_mut().for_each(forget_places),
        Value::Null { .. } | Value::Boolean(_) | Value::Integer(_) | Value::Text(_) | Value::Ambiguous { .. } => {}
    }
}
