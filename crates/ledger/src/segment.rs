use lock_model::Digest;

use crate::chain::number_in;
use crate::{Broken, LedgerBroken, Record, RecordDraft};

/// The records of one folder of the ledger's branch, whose chain holds from the first of them to the last.
///
/// Segments are read one by one and joined to a [`Ledger`](crate::Ledger) in their order, so that no more than one has to
/// be read at once. One that was checked can be kept and taken again without a check, as long as its folder is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub(crate) records: Vec<Record>,
    pub(crate) head: Digest,
}

/// A segment as it is kept: the lock file stands beside the rest, as it does in a record's file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<R> {
    head: Digest,
    records: Vec<R>,
}

impl Segment {
    /// Checks the chain of the files under `records/`; other paths are not looked at. `None` where there are none.
    pub fn parse<N: AsRef<str>, B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, B)>,
    ) -> Result<Option<Self>, LedgerBroken> {
        let mut parsed = Vec::new();
        let mut unreadable = Vec::new();
        for (name, bytes) in files {
            let (name, bytes) = (name.as_ref(), bytes.as_ref());
            if !name.starts_with("records/") {
                continue;
            }
            match Record::parse(bytes) {
                Ok(record) => parsed.push((record, name.to_owned(), Digest::of(bytes))),
                Err(source) => unreadable.push((number_in(name), name.to_owned(), source)),
            }
        }
        parsed.sort_by(|left, right| (left.0.seq, &left.1).cmp(&(right.0.seq, &right.1)));
        let broken = |at, what| LedgerBroken { at, what };
        unreadable.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        if let Some((at, file, source)) = unreadable.into_iter().next() {
            return Err(broken(at, Broken::Unreadable { file, source }));
        }

        let mut segment: Option<Self> = None;
        for (record, file, digest) in parsed {
            if let Some(before) = &segment {
                let expected = before.next_seq();
                if record.seq < expected {
                    return Err(broken(record.seq, Broken::Duplicate { file }));
                }
                if record.seq > expected {
                    return Err(broken(expected, Broken::Gap { next: file }));
                }
            }
            let expected = record.file_name();
            if file != expected {
                return Err(broken(record.seq, Broken::FileName { file, expected }));
            }
            match &mut segment {
                None => segment = Some(Self { records: vec![record], head: digest }),
                Some(segment) if record.previous.as_ref() == Some(&segment.head) => {
                    segment.records.push(record);
                    segment.head = digest;
                }
                Some(_) => return Err(broken(record.seq, Broken::Previous { file })),
            }
        }
        Ok(segment)
    }

    /// The segment for [`Segment::from_kept`].
    pub fn to_kept(&self) -> Vec<u8> {
        let records = self.records.iter();
        let rows = records.map(|record| (record.seq, &record.previous, &record.entry.lock_file, &record.entry));
        let kept = Kept { head: self.head.clone(), records: rows.collect() };
        serde_json::to_vec(&kept).expect("records hold strings and integers")
    }

    /// Takes what [`Segment::to_kept`] made. Nothing is checked again: whoever kept it vouches that the bytes are the
    /// same, and that the folder is. `None` where they cannot be read.
    pub fn from_kept(bytes: &[u8]) -> Option<Self> {
        type Row = (u64, Option<Digest>, Option<Digest>, RecordDraft);
        let kept: Kept<Row> = serde_json::from_slice(bytes).ok()?;
        let record = |(seq, previous, lock_file, entry): Row| Record {
            seq,
            previous,
            entry: RecordDraft { lock_file, ..entry },
        };
        let records: Vec<Record> = kept.records.into_iter().map(record).collect();
        (!records.is_empty()).then_some(Self { records, head: kept.head })
    }

    fn next_seq(&self) -> u64 {
        self.records.last().map_or(1, |record| record.seq + 1)
    }
}
