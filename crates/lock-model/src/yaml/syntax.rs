use std::borrow::Cow;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, options};

use super::node::{Entry, Node, Scalar, Value};
use crate::problem::Position;

/// Deeper than any lock: `services.NAME.metadata.api.0.kind` has six levels.
const MAX_DEPTH: usize = 24;

/// A lock of 20,000 services has a little less.
const MAX_NODES: usize = 1_000_000;

/// Text that is no YAML, or YAML with more than the plain maps, lists and strings that a lock consists of.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) at: Position,
    pub(super) keys: Vec<String>,
    pub(super) message: String,
    pub(super) too_large: bool,
}

/// Reads exactly one document; stops at the first anchor, alias, tag, directive, merge key or duplicate key.
pub(super) fn parse(text: &str) -> Result<Node<'_>, SyntaxError> {
    let options = options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { open: Vec::new(), root: None, nodes: 0 };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax_error(&error))?;
        builder.take(event, span)?;
    }
    let empty = SyntaxError {
        at: Position::START,
        keys: Vec::new(),
        message: "the file is empty".to_owned(),
        too_large: false,
    };
    builder.root.ok_or(empty)
}

/// The containers that are being read, outermost first.
struct Builder<'a> {
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
    nodes: usize,
}

enum Open<'a> {
    List { at: Position, items: Vec<Node<'a>> },
    Map { at: Position, entries: Vec<Entry<'a>>, key: Option<(Position, Scalar<'a>)> },
}

impl<'a> Builder<'a> {
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), SyntaxError> {
        let at = position(span.start);
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_, _) if self.root.is_some() => Err(self.error(at, "more than one document")),
            Event::DocumentStart(_, _) => Ok(()),
            Event::Anchor(_, name) => Err(self.error(at, &format!("anchors (`&{name}`) are not allowed"))),
            Event::Alias(_) => Err(self.error(at, "aliases are not allowed")),
            Event::UnresolvedAlias(name) => Err(self.error(at, &format!("aliases (`*{name}`) are not allowed"))),
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, _, Some(tag))
            | Event::MappingStart(_, _, Some(tag)) => {
                let at = span.tag_start().map_or(at, position);
                Err(self.error(at, &format!("tags (`{}`) are not allowed", tag.original())))
            }
            Event::Scalar(text, style, _, None) => {
                let plain = style == ScalarStyle::Plain;
                self.scalar(at, Scalar { text, plain })
            }
            Event::SequenceStart(_, _, None) => self.enter(at, Open::List { at, items: Vec::new() }),
            Event::MappingStart(_, _, None) => self.enter(at, Open::Map { at, entries: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            // Comments are switched off; later kinds of events are none that a lock has.
            _ => Err(self.error(at, "this kind of YAML is not allowed")),
        }
    }

    fn scalar(&mut self, at: Position, scalar: Scalar<'a>) -> Result<(), SyntaxError> {
        self.count(at)?;
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            let is_merge = scalar.plain && scalar.text == "<<";
            *key = Some((at, scalar));
            return if is_merge { Err(self.error(at, "merge keys are not allowed")) } else { Ok(()) };
        }
        self.add(Node { at, value: Value::Scalar(scalar) });
        Ok(())
    }

    fn enter(&mut self, at: Position, open: Open<'a>) -> Result<(), SyntaxError> {
        self.count(at)?;
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            return Err(self.error(at, "a key is a string"));
        }
        self.open.push(open);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), SyntaxError> {
        match self.open.pop() {
            Some(Open::List { at, items }) => self.add(Node { at, value: Value::List(items) }),
            Some(Open::Map { at, entries, .. }) => {
                if let Some(repeated) = repeated_key(&entries) {
                    let mut error =
                        self.error(repeated.key_at, &format!("the key `{}` stands here twice", repeated.key.text));
                    error.keys.push(repeated.key.text.clone().into_owned());
                    return Err(error);
                }
                self.add(Node { at, value: Value::Map(entries) });
            }
            None => {}
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn add(&mut self, node: Node<'a>) {
        match self.open.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some((key_at, key)) = key.take() {
                    entries.push(Entry { key_at, key, value: node });
                }
            }
            None => self.root = Some(node),
        }
    }

    fn count(&mut self, at: Position) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let mut error = self.error(at, &format!("more than {MAX_NODES} values"));
            error.too_large = true;
            return Err(error);
        }
        Ok(())
    }

    fn error(&self, at: Position, message: &str) -> SyntaxError {
        let keys = self.open.iter().filter_map(|open| match open {
            Open::List { items, .. } => Some(items.len().to_string()),
            Open::Map { key, .. } => key.as_ref().map(|(_, key)| key.text.clone().into_owned()),
        });
        SyntaxError { at, keys: keys.collect(), message: message.to_owned(), too_large: false }
    }

    fn syntax_error(&self, error: &ScanError) -> SyntaxError {
        self.error(position(*error.marker()), &error.info())
    }
}

/// The second of two equal keys.
fn repeated_key<'b, 'a>(entries: &'b [Entry<'a>]) -> Option<&'b Entry<'a>> {
    fn text<'b>(entry: &'b Entry<'_>) -> &'b Cow<'b, str> {
        &entry.key.text
    }
    if entries.is_sorted_by(|a, b| text(a) < text(b)) {
        return None;
    }
    let mut sorted: Vec<&Entry<'a>> = entries.iter().collect();
    sorted.sort_by(|a, b| text(a).cmp(text(b)).then(a.key_at.cmp(&b.key_at)));
    sorted.windows(2).filter(|pair| text(pair[0]) == text(pair[1])).map(|pair| pair[1]).min_by_key(|entry| entry.key_at)
}

/// The parser counts lines from 1 and columns from 0.
fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}
