use lock_model::{Digest, ErrorClass};

use crate::{DraftProblems, Record, RecordDraft, RecordError};

/// Every record, in order, with an intact chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    records: Vec<Record>,
    head: Option<Digest>,
}

/// The newest record that a reader has seen: what it remembers, to notice a ledger that became shorter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Its number.
    pub seq: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// A record that is ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRecord {
    /// Its path on the ledger's branch.
    pub file_name: String,
    /// The file's content.
    pub bytes: Vec<u8>,
    /// The record that the file holds.
    pub record: Record,
}

/// A ledger that cannot be trusted. Nothing may be deployed on its word.
#[derive(Debug, thiserror::Error)]
#[error("ledger broken at {at}")]
pub struct LedgerBroken {
    /// Number of the first record that is wrong.
    pub at: u64,
    /// What is wrong.
    #[source]
    pub what: Broken,
}

impl LedgerBroken {
    /// Always [`ErrorClass::Invalid`]: what is stored stays broken.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// What is wrong with a ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The file is no record.
    #[error("`{file}` is no record")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// A number is missing.
    #[error("the record is missing, `{next}` follows")]
    Gap {
        /// The file that comes next.
        next: String,
    },
    /// A number is there twice.
    #[error("two files have this number, `{file}` is one of them")]
    Duplicate {
        /// The second of them.
        file: String,
    },
    /// The file's name says something else than its content.
    #[error("`{file}` should be named `{expected}`")]
    FileName {
        /// Its path.
        file: String,
        /// The path that its content asks for.
        expected: String,
    },
    /// The record before is not the one that this record was written after.
    #[error("`{file}` does not continue the record before it")]
    Previous {
        /// Its path.
        file: String,
    },
    /// Records that were there are gone.
    #[error("the ledger has {found} records, {seen} were seen before")]
    Shorter {
        /// How many there are.
        found: u64,
        /// How many there were.
        seen: u64,
    },
    /// A record that was seen before is another one now.
    #[error("the record is not the one that was seen before")]
    Rewritten,
}

impl Ledger {
    /// A ledger without records: what a new ledger branch holds.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Checks the chain of all files under `records/`; other paths are not looked at.
    ///
    /// `seen` is what this reader saw last: a ledger that is shorter, or different at that place, is broken.
    pub fn parse<N: AsRef<str>, B: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (N, B)>,
        seen: Option<&Seen>,
    ) -> Result<Self, LedgerBroken> {
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

        let mut ledger = Self::empty();
        let mut at_seen = None;
        for (record, file, digest) in parsed {
            let expected_seq = ledger.next_seq();
            if record.seq < expected_seq {
                return Err(broken(record.seq, Broken::Duplicate { file }));
            }
            if record.seq > expected_seq {
                return Err(broken(expected_seq, Broken::Gap { next: file }));
            }
            let expected = record.file_name();
            if file != expected {
                return Err(broken(record.seq, Broken::FileName { file, expected }));
            }
            if record.previous != ledger.head {
                return Err(broken(record.seq, Broken::Previous { file }));
            }
            if seen.is_some_and(|seen| seen.seq == record.seq) {
                at_seen = Some(digest.clone());
            }
            ledger.head = Some(digest);
            ledger.records.push(record);
        }
        match (seen, at_seen) {
            (Some(seen), Some(digest)) if digest != seen.digest => Err(broken(seen.seq, Broken::Rewritten)),
            (Some(seen), None) if seen.seq > 0 => {
                let found = ledger.next_seq() - 1;
                Err(broken(found + 1, Broken::Shorter { found, seen: seen.seq }))
            }
            (None | Some(_), None | Some(_)) => Ok(ledger),
        }
    }

    /// Every record, oldest first.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What a reader remembers until its next visit; absent while there is no record.
    pub fn seen(&self) -> Option<Seen> {
        self.head.clone().map(|digest| Seen { seq: self.next_seq() - 1, digest })
    }

    /// Makes the record that continues this ledger. It is appended by [`Ledger::push`] once it is stored.
    pub fn next(&self, draft: RecordDraft) -> Result<NewRecord, DraftProblems> {
        draft.check()?;
        let record = Record { seq: self.next_seq(), previous: self.head.clone(), entry: draft };
        Ok(NewRecord { file_name: record.file_name(), bytes: record.to_json(), record })
    }

    /// Takes over a record that was stored.
    pub fn push(&mut self, new: &NewRecord) -> Result<(), LedgerBroken> {
        let broken = |what| LedgerBroken { at: new.record.seq, what };
        if new.record.seq != self.next_seq() {
            return Err(broken(Broken::Gap { next: new.file_name.clone() }));
        }
        if new.record.previous != self.head {
            return Err(broken(Broken::Previous { file: new.file_name.clone() }));
        }
        self.head = Some(Digest::of(&new.bytes));
        self.records.push(new.record.clone());
        Ok(())
    }

    /// The number that the next record gets.
    pub fn next_seq(&self) -> u64 {
        self.records.last().map_or(1, |record| record.seq + 1)
    }
}

/// The number at the front of a record's file name, or 0.
fn number_in(name: &str) -> u64 {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
