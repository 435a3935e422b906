//! The form in which documents lie in the cache's file: one after the other, each with a line before it that says its key,
//! its length and the type that it was served as, and a line end after it. Of two with the same key the later one holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use lock_model::Digest;

use crate::document::Fetched;

/// What a file holds, up to the first place that cannot be read.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    by_key: BTreeMap<String, Record>,
    /// How many bytes could be read.
    sound: usize,
}

#[derive(Debug)]
struct Record {
    /// With its line and the line end.
    all: Range<usize>,
    document: Range<usize>,
    media_type: Option<String>,
}

impl Records {
    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let mut records = Self { bytes, ..Self::default() };
        while let Some((key, record)) = records.next() {
            records.sound = record.all.end;
            records.by_key.insert(key, record);
        }
        records
    }

    /// The record after those that were read; `None` at the end, and where anything about it is wrong.
    fn next(&self) -> Option<(String, Record)> {
        let rest = self.bytes.get(self.sound..)?;
        let line = rest.iter().position(|&byte| byte == b'\n')?;
        let mut parts = std::str::from_utf8(rest.get(..line)?).ok()?.splitn(3, ' ');
        let key = parts.next()?.to_owned();
        let length: usize = parts.next()?.parse().ok()?;
        let media_type = parts.next()?;
        let end = line.checked_add(1)?.checked_add(length)?;
        if rest.get(end) != Some(&b'\n') {
            return None;
        }
        let at = |offset: usize| self.sound + offset;
        let media_type = (!media_type.is_empty()).then(|| media_type.to_owned());
        Some((key, Record { all: self.sound..at(end + 1), document: at(line + 1)..at(end), media_type }))
    }

    /// Whether all of the file could be read.
    pub(crate) fn is_whole(&self) -> bool {
        self.sound == self.bytes.len()
    }

    pub(crate) fn get(&self, key: &str) -> Option<Fetched> {
        let record = self.by_key.get(key)?;
        let bytes = self.bytes.get(record.document.clone())?.into();
        Some(Fetched { bytes, media_type: record.media_type.clone() })
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.by_key.remove(key);
    }

    pub(crate) fn pack(key: &str, document: &Fetched) -> Vec<u8> {
        let Fetched { bytes, media_type } = document;
        let mut packed = Vec::with_capacity(bytes.len() + 256);
        packed.extend_from_slice(
            format!("{key} {} {}\n", bytes.len(), media_type.as_deref().unwrap_or_default()).as_bytes(),
        );
        packed.extend_from_slice(bytes);
        packed.push(b'\n');
        packed
    }

    /// A new file: all records that were used, and of the others as many of the newest as there is room for, in their
    /// order. What is not sound any more, or comes anew, is left out.
    pub(crate) fn newest(&self, used: &BTreeSet<String>, is_new: impl Fn(&str) -> bool, room: usize) -> Vec<u8> {
        let mut records: Vec<(&String, &Record)> =
            self.by_key.iter().filter(|(key, record)| !is_new(key) && self.is_sound(key, record)).collect();
        records.sort_by_key(|(key, record)| (used.contains(*key), record.all.start));
        let mut total = 0;
        let fits = records.iter().rev().take_while(|(key, record)| {
            total += record.all.len();
            total <= room || used.contains(*key)
        });
        let first = records.len() - fits.count();
        let kept = records.iter().skip(first).filter_map(|(_, record)| self.bytes.get(record.all.clone()));
        kept.collect::<Vec<_>>().concat()
    }

    /// Whether a document has the digest that its key ends with; a tag's record has none.
    fn is_sound(&self, key: &str, record: &Record) -> bool {
        let Some((_, digest)) = key.split_once('/') else { return true };
        self.bytes.get(record.document.clone()).is_some_and(|bytes| Digest::of(bytes).as_str() == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str, media_type: Option<&str>) -> Fetched {
        Fetched { bytes: text.as_bytes().into(), media_type: media_type.map(str::to_owned) }
    }

    /// A document's record and its key.
    fn stored(text: &str, media_type: Option<&str>) -> (String, Vec<u8>) {
        let key = format!("r/{}", Digest::of(text.as_bytes()));
        let packed = Records::pack(&key, &document(text, media_type));
        (key, packed)
    }

    #[test]
    fn f24_what_is_packed_is_read_and_damage_hides_no_record_before_it() {
        let documents = [("{}", Some("a/b; c=d e")), ("", None), ("two\nlines\n", Some("a/b"))];
        let stored = documents.map(|(text, media_type)| stored(text, media_type));
        let packed: Vec<u8> = stored.iter().flat_map(|(_, packed)| packed).copied().collect();
        let records = Records::parse(packed.clone());
        assert!(records.is_whole());
        for ((text, media_type), (key, _)) in documents.iter().zip(&stored) {
            assert_eq!(records.get(key), Some(document(text, *media_type)));
        }
        for at in 0..packed.len() {
            let cut = Records::parse(packed[..at].to_vec());
            assert_eq!(cut.is_whole(), [0, stored[0].1.len(), stored[0].1.len() + stored[1].1.len()].contains(&at));
            let mut flipped = packed.clone();
            flipped[at] ^= 1;
            for records in [cut, Records::parse(flipped)] {
                if at >= stored[0].1.len() {
                    assert_eq!(records.get(&stored[0].0), Some(document("{}", Some("a/b; c=d e"))), "{at}");
                }
                // What is written anew is what was sound, whatever the damage.
                let kept = Records::parse(records.newest(&BTreeSet::new(), |_| false, usize::MAX));
                let wrong = kept.by_key.iter().find(|(key, record)| !kept.is_sound(key, record));
                assert!(kept.is_whole() && wrong.is_none(), "{at}: {wrong:?}");
            }
        }
        for wrong in [&b"\n"[..], b"\xff\n", b"key 2\n", b"key 18446744073709551615 y\n", b"key 1 y\nab"] {
            let records = Records::parse(wrong.to_vec());
            assert!(!records.is_whole() && records.by_key.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn f4_the_newest_and_the_used_records_stay() {
        let stored = ["1", "2", "3", "4"].map(|text| stored(text, None));
        let one = stored[0].1.len();
        let packed: Vec<u8> = stored.iter().flat_map(|(_, packed)| packed).copied().collect();
        let records = Records::parse(packed);
        let used = BTreeSet::from([stored[0].0.clone()]);
        let left = |used: &BTreeSet<String>, room: usize| {
            let kept = Records::parse(records.newest(used, |key| key == stored[2].0, room));
            ["1", "2", "3", "4"]
                .into_iter()
                .zip(&stored)
                .filter(|(_, (key, _))| kept.get(key).is_some())
                .map(|(text, _)| text)
                .collect::<String>()
        };
        assert_eq!(left(&BTreeSet::new(), 2 * one), "24", "the third one comes anew");
        assert_eq!(left(&used, 2 * one), "14");
        assert_eq!(left(&used, 0), "1", "more than there is room for, since the command needs it");
    }
}
