//! The tree against the shapes of `schema_keys`: unknown keys, types, formats, missing keys; and defaults.

use super::parse;
use super::problem::{Problems, nearest};
use super::scalar;
use super::schema_shape::{Availability, Key, Kind, Layer, Need, Shape, available_words};
use super::string_formats::{Format, Violation};
use super::tree::{Entry, Map, Node, Origin, Place, Value};
use crate::variables::Variable;

/// Adds what is wrong with a tree.
pub(super) fn check(node: &Node, shape: &Shape, layer: Layer, problems: &mut Problems) {
    if let Value::Null { .. } = node.value {
        // `merge::settle` judges these.
        return;
    }
    match (shape, &node.value) {
        (Shape::Text(format), Value::Text(text)) => check_text(node, text, *format, problems),
        // A word of ours that some readers take for something else, such as `off`, is that word to this one; quoting
        // another one would only lead to the next mistake.
        (Shape::Choice(words), Value::Text(text) | Value::Ambiguous { text, .. }) => {
            if available_words(words).all(|(word, _)| word != text) {
                if words.iter().any(|(word, _)| word == text) {
                    not_available(&node.origin, text, problems);
                } else {
                    not_one_of(node, text, available_words(words).copied(), problems);
                }
            }
        }
        (Shape::Choice(words), Value::Boolean(boolean)) => {
            not_one_of(node, &boolean.to_string(), available_words(words).copied(), problems);
        }
        (Shape::Text(_), Value::Ambiguous { text, reads_as }) => {
            problems
                .add(&node.origin, format!("`{text}` is {reads_as} to some YAML readers, and text is wanted here"))
                .with_hint(format!("put it in quotes: `{text:?}`"));
        }
        (Shape::Text(Format::Duration), Value::Integer(number)) => {
            check_text(node, &number.to_string(), Format::Duration, problems);
        }
        (Shape::Integer { least, most }, Value::Integer(number)) => {
            if !(*least..=*most).contains(number) {
                problems.add(&node.origin, format!("{number} is not from {least} to {most}"));
            }
        }
        (Shape::Integer { least, most }, Value::Ambiguous { text, reads_as: scalar::NUMBER }) => {
            let message = format!("a whole number from {least} to {most} is wanted here, and this is `{text}`");
            problems.add(&node.origin, message).about_type();
        }
        (Shape::Boolean, Value::Boolean(_)) => {}
        (Shape::List(item) | Shape::NonEmptyList(item), Value::List(items)) => {
            if items.is_empty() && matches!(shape, Shape::NonEmptyList(_)) {
                problems.add(&node.origin, "the list is empty");
            }
            for element in items {
                match element.value {
                    Value::Null { removes: false } => expected(element, item, problems),
                    _ => check(element, item, layer, problems),
                }
            }
        }
        (Shape::Named(key, value), Value::Map(map)) => {
            for entry in &map.entries {
                check_name(entry, *key, problems);
                check(&entry.node, value, layer, problems);
            }
        }
        (Shape::Keys(keys) | Shape::ShortForm(keys), Value::Map(map)) => {
            check_keys(node, map, keys, None, layer, problems);
        }
        (Shape::ShortForm([first, ..]), _) => check(node, &first.shape, layer, problems),
        (Shape::Kinds(kinds), Value::Map(map)) => check_kinds(node, map, kinds, layer, problems),
        (Shape::Source(keys), Value::Map(map)) => {
            check_keys(node, map, keys, None, layer, problems);
            check_source(node, map, keys, layer, problems);
        }
        (Shape::Tree(variables), Value::Map(_)) => check_tree(node, variables, problems),
        _ => expected(node, shape, problems),
    }
}

/// The largest whole number that helm does not change: it reads numbers as floating-point ones of 64 bits.
const LARGEST_OF_CHARTS: u64 = (1 << 53) - 1;

/// Values of any type: only text that readers disagree about, variables in text, and large numbers can be wrong.
fn check_tree(node: &Node, variables: &'static [Variable], problems: &mut Problems) {
    match &node.value {
        Value::Map(map) => map.entries.iter().for_each(|entry| check_tree(&entry.node, variables, problems)),
        Value::List(items) => items.iter().for_each(|item| check_tree(item, variables, problems)),
        Value::Text(text) if text.is_empty() => {}
        Value::Text(_) | Value::Ambiguous { .. } => {
            check(node, &Shape::Text(Format::Template(variables)), Layer::Whole, problems);
        }
        Value::Integer(number) if number.unsigned_abs() > LARGEST_OF_CHARTS => {
            let message = format!(
                "`{number}` can reach the chart as another number: helm keeps whole numbers up to {LARGEST_OF_CHARTS}"
            );
            problems.add(&node.origin, message).with_hint(format!("put it in quotes: `\"{number}\"`"));
        }
        Value::Null { .. } | Value::Boolean(_) | Value::Integer(_) => {}
    }
}

fn expected(node: &Node, shape: &Shape, problems: &mut Problems) {
    if problems.has_type_problem_at(&node.origin) {
        return;
    }
    let (wanted, found) = (shape.expected(), node.kind());
    let problem = problems.add(&node.origin, format!("{wanted} is wanted here, and this is {found}"));
    match (shape, &node.value) {
        (Shape::Text(_), Value::Integer(number)) => problem.with_hint(format!("put it in quotes: `\"{number}\"`")),
        (Shape::Text(_), Value::Boolean(boolean)) => problem.with_hint(format!("put it in quotes: `\"{boolean}\"`")),
        (Shape::Source(keys), Value::Text(text)) => {
            let sources: Vec<String> = keys.iter().map(|key| format!("`{{ {}: … }}`", key.name)).collect();
            let literal = keys.iter().any(|key| key.name == "value");
            problem.with_hint(if literal {
                format!("`{{ value: {text:?} }}`, or another of {}", sources.join(", "))
            } else {
                format!("it is read from {}", any_of(&sources))
            })
        }
        (Shape::List(_) | Shape::NonEmptyList(_), Value::Text(text)) => {
            problem.with_hint(format!("a list of one is `[{text:?}]`"))
        }
        _ => problem,
    }
    .about_type();
}

/// `words`: what may stand there, and what each means.
fn not_one_of<'a>(
    node: &Node,
    text: &str,
    words: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    problems: &mut Problems,
) {
    let list: Vec<String> = words.clone().map(|(word, _)| format!("`{word}`")).collect();
    let known = match list.as_slice() {
        [only] => only.clone(),
        list => format!("one of {}", list.join(", ")),
    };
    let problem = problems.add(&node.origin, format!("`{text}` is not {known}"));
    if problem.suggest(text, words.clone().map(|(word, _)| word)).hint().is_none() {
        let meanings: Vec<String> =
            words.map(|(word, meaning)| format!("`{word}`: {}", meaning.trim_end_matches('.'))).collect();
        problem.with_hint(meanings.join("; "));
    }
}

fn check_text(node: &Node, text: &str, format: Format, problems: &mut Problems) {
    let Err(Violation { message, part, unknown }) = format.check(text) else { return };
    let place = node.origin.place().map(|place| match part {
        Some((offset, width)) => narrowed(place, text, offset, width),
        None => place.clone(),
    });
    let problem = problems.add_at(place, message);
    if let Some((word, allowed)) = unknown
        && let Some(near) = nearest(&word, allowed.iter().map(|variable| variable.as_str()))
    {
        problem.with_hint(format!("did you mean `{{{near}}}`?"));
    }
}

/// The place of a part of a text, where the file shows the text as it is.
fn narrowed(place: &Place, text: &str, offset: usize, width: usize) -> Place {
    let length = text.chars().count();
    let quote = match place.width.checked_sub(length) {
        Some(0) => 0,
        Some(2) => 1,
        _ => return place.clone(),
    };
    Place { column: place.column + quote + offset, width, ..place.clone() }
}

fn check_name(entry: &Entry, format: Format, problems: &mut Problems) {
    if let Err(violation) = format.check(&entry.key) {
        problems.add(&entry.key_origin, violation.message);
    }
}

fn check_keys(node: &Node, map: &Map, keys: &[Key], kind: Option<&str>, layer: Layer, problems: &mut Problems) {
    for entry in &map.entries {
        if kind.is_some() && entry.key == "kind" {
            continue;
        }
        match keys.iter().find(|key| key.name == entry.key) {
            Some(Key { shape: Shape::Later, .. }) => not_available(&entry.key_origin, &entry.key, problems),
            Some(key) => check(&entry.node, &key.shape, layer, problems),
            // A key of the kind that a layer below has: `merge::settle` judges whether it is there.
            None if kind.is_some() && layer == Layer::Partial && matches!(entry.node.value, Value::Null { .. }) => {}
            None => unknown_key(entry, available(keys.iter()), kind, problems),
        }
    }
    if layer == Layer::Partial {
        return;
    }
    for key in keys {
        if map.get(key.name).is_some() {
            continue;
        }
        match key.need {
            Need::Required => {
                problems.add(&node.origin, format!("`{}` is missing", key.name)).with_hint(hint_of(key.doc));
            }
            Need::Default(default) => {
                problems
                    .add(&node.origin, format!("`{}` is removed, and cannot be without a value", key.name))
                    .with_hint(format!("its default is `{default}`"));
            }
            Need::Optional => {}
        }
    }
}

/// A key's sentence as a hint: without capital and full stop.
fn hint_of(doc: &str) -> String {
    let mut characters = doc.trim_end_matches('.').chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

fn available<'a>(keys: impl Iterator<Item = &'a Key> + Clone) -> impl Iterator<Item = &'a str> + Clone {
    keys.filter(|key| key.is_available()).map(|key| key.name)
}

/// A key, kind or variable that a later version has.
fn not_available(origin: &Origin, name: &str, problems: &mut Problems) {
    let hint = "the guide says under \"Not available yet\" what to do until then";
    problems.add(origin, format!("`{name}` is not available yet")).with_hint(hint);
}

/// Keys that had another name in an older version: old, new.
const RENAMED_KEYS: [(&str, &str); 1] = [("others", "locked-only")];

fn unknown_key<'a>(
    entry: &Entry,
    known: impl Iterator<Item = &'a str> + Clone,
    kind: Option<&str>,
    problems: &mut Problems,
) {
    let shown = &entry.key;
    let message = match kind {
        Some(kind) => format!("kind `{kind}` has no key `{shown}`"),
        None => format!("there is no key `{shown}` here"),
    };
    let list: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    let hint = match RENAMED_KEYS.iter().find(|(old, new)| entry.key == *old && known.clone().any(|name| name == *new))
    {
        Some((old, new)) => format!("`{old}` is now `{new}`"),
        None => format!("there are {}", list.join(", ")),
    };
    problems.add(&entry.key_origin, message).with_hint(hint).suggest(&entry.key, known);
}

/// Words as a sentence lists them: `a`, `b` or `c`.
fn any_of(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

fn check_kinds(node: &Node, map: &Map, kinds: &[Kind], layer: Layer, problems: &mut Problems) {
    let Some(kind_node) = map.get("kind").filter(|node| !matches!(node.value, Value::Null { .. })) else {
        if layer == Layer::Whole {
            let list: Vec<String> = Kind::available(kinds).map(|kind| format!("`{}`", kind.name)).collect();
            problems.add(&node.origin, "`kind` is missing").with_hint(format!("it is {}", any_of(&list)));
            return;
        }
        // The kind stands in another layer: any kind's keys will do until then.
        for entry in map.entries.iter().filter(|entry| entry.key != "kind") {
            let keys = || kinds.iter().flat_map(|kind| kind.keys.iter());
            match keys().find(|key| key.name == entry.key) {
                Some(Key { shape: Shape::Later, .. }) => not_available(&entry.key_origin, &entry.key, problems),
                Some(key) => check(&entry.node, &key.shape, layer, problems),
                None => unknown_key(entry, keys().filter(|key| key.is_available()).map(|key| key.name), None, problems),
            }
        }
        return;
    };
    let Value::Text(name) = &kind_node.value else {
        check(kind_node, &Shape::Choice(&[]), layer, problems);
        return;
    };
    match kinds.iter().find(|kind| kind.name == name) {
        Some(Kind { availability: Availability::Later, .. }) => not_available(&kind_node.origin, name, problems),
        Some(kind) => check_keys(node, map, kind.keys, Some(kind.name), layer, problems),
        None => not_one_of(kind_node, name, Kind::available(kinds).map(|kind| (kind.name, kind.doc)), problems),
    }
}

fn check_source(node: &Node, map: &Map, keys: &[Key], layer: Layer, problems: &mut Problems) {
    let present: Vec<&Entry> =
        map.entries.iter().filter(|entry| keys.iter().any(|key| key.name == entry.key)).collect();
    match present.as_slice() {
        [] if layer == Layer::Whole => {
            let list: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
            problems.add(&node.origin, format!("no source is given: one of {}", list.join(", ")));
        }
        [first, second, ..] => {
            let named = present.iter().filter(|entry| !matches!(entry.node.value, Value::Null { .. })).count();
            if named > 1 {
                let place = first.key_origin.place();
                let at = place.map_or_else(String::new, |place| {
                    format!(" ({}:{}:{})", problems.source().name, place.line, place.column)
                });
                problems
                    .add(&second.key_origin, format!("two sources: `{}` and `{}`{at}", second.key, first.key))
                    .with_hint(format!("`{}: null` removes the other where it comes from a lower layer", first.key));
            }
        }
        _ => {}
    }
}

/// Puts defaults where a tree says nothing, at every depth.
pub(super) fn complete(node: &mut Node, shape: &Shape, problems: &mut Problems) {
    write_out(node, shape);
    match (shape, &mut node.value) {
        (Shape::Keys(keys) | Shape::ShortForm(keys), Value::Map(map)) => complete_keys(map, keys, problems),
        (Shape::Kinds(kinds), Value::Map(map)) => {
            let name = map.get("kind").and_then(Node::text);
            if let Some(kind) = kinds.iter().find(|kind| Some(kind.name) == name) {
                complete_keys(map, kind.keys, problems);
            }
        }
        (Shape::Named(_, value), Value::Map(map)) => {
            for entry in &mut map.entries {
                complete(&mut entry.node, value, problems);
            }
        }
        (Shape::List(item) | Shape::NonEmptyList(item), Value::List(items)) => {
            for element in items {
                complete(element, item, problems);
            }
        }
        _ => {}
    }
}

/// Puts a map in place of a short form.
fn write_out(node: &mut Node, shape: &Shape) {
    if let (Shape::ShortForm([first, ..]), Value::Text(_) | Value::Ambiguous { .. }) = (shape, &node.value) {
        let text = node.clone();
        let entry = Entry { key: first.name.to_owned(), key_origin: node.origin.clone(), node: text };
        node.value = Value::Map(Map { entries: vec![entry] });
    }
}

/// Puts maps in place of short forms, so that each layer can say its part of one.
pub(super) fn write_out_short_forms(node: &mut Node, shape: &Shape) {
    write_out(node, shape);
    match (shape, &mut node.value) {
        (Shape::Keys(keys) | Shape::ShortForm(keys), Value::Map(map)) => {
            for entry in &mut map.entries {
                if let Some(key) = keys.iter().find(|key| key.name == entry.key) {
                    write_out_short_forms(&mut entry.node, &key.shape);
                }
            }
        }
        (Shape::Named(_, value), Value::Map(map)) => {
            map.entries.iter_mut().for_each(|entry| write_out_short_forms(&mut entry.node, value));
        }
        _ => {}
    }
}

fn complete_keys(map: &mut Map, keys: &[Key], problems: &mut Problems) {
    for key in keys {
        let entry = map.entries.iter_mut().find(|entry| entry.key == key.name);
        match (entry, key.need) {
            (Some(entry), need) => match (&mut entry.node.value, need) {
                (Value::Null { removes }, Need::Default(_)) => *removes = true,
                (Value::Null { .. }, Need::Required | Need::Optional) => {}
                _ => complete(&mut entry.node, &key.shape, problems),
            },
            (None, Need::Default(text)) => {
                let mut node = parse::default_value(text);
                complete(&mut node, &key.shape, problems);
                map.entries.push(Entry { key: key.name.to_owned(), key_origin: Origin::Default, node });
            }
            (None, Need::Required | Need::Optional) => {}
        }
    }
}
