use lock_model::{Digest, ErrorClass};

use crate::{DraftProblems, Record, RecordDraft, RecordError, Segment};

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
    /// There is something under `records/` that is neither a record nor a folder of records, or is too large to be one.
    pub fn foreign(file: &str) -> Self {
        Self { at: number_in(file), what: Broken::Foreign { file: file.to_owned() } }
    }

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
        /// What is wrong with its bytes.
        #[source]
        source: RecordError,
    },
    /// A link, a submodule, an executable file, a file outside of the folders, or one that is larger than any record.
    #[error("`{file}` is neither a record nor a folder of records")]
    Foreign {
        /// Its path.
        file: String,
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
        let mut ledger = Self::empty();
        if let Some(segment) = Segment::parse(files)? {
            ledger.join(segment)?;
        }
        ledger.check_seen(seen)?;
        Ok(ledger)
    }

    /// Takes over the segment that continues this ledger.
    pub fn join(&mut self, segment: Segment) -> Result<(), LedgerBroken> {
        let Segment { records, head } = segment;
        if let Some(first) = records.first() {
            let next = self.next_seq();
            let broken = |at, what| Err(LedgerBroken { at, what });
            if first.seq < next {
                return broken(first.seq, Broken::Duplicate { file: first.file_name() });
            }
            if first.seq > next {
                return broken(next, Broken::Gap { next: first.file_name() });
            }
            if first.previous != self.head {
                return broken(next, Broken::Previous { file: first.file_name() });
            }
        }
        self.records.extend(records);
        self.head = Some(head);
        Ok(())
    }

    /// Compares the ledger with what a reader saw last: one that is shorter, or different at that place, is broken.
    pub fn check_seen(&self, seen: Option<&Seen>) -> Result<(), LedgerBroken> {
        let Some(seen) = seen.filter(|seen| seen.seq > 0) else { return Ok(()) };
        let found = self.next_seq() - 1;
        if found < seen.seq {
            let what = Broken::Shorter { found, seen: seen.seq };
            return Err(LedgerBroken { at: found + 1, what });
        }
        // Each record names the one before.
        let there = self.record(seen.seq + 1).map_or(self.head.as_ref(), |after| after.previous.as_ref());
        if there == Some(&seen.digest) {
            return Ok(());
        }
        Err(LedgerBroken { at: seen.seq, what: Broken::Rewritten })
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
pub(crate) fn number_in(name: &str) -> u64 {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
