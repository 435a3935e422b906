//! The mutex of an environment: a locked file, and beside it a file that says who holds it.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lock_model::Timestamp;

use super::access::check_line;
use super::open::LocalForge;
use super::store;
use super::wire::{FORMAT_VERSION, HolderFile};
use crate::error::ForgeError;
use crate::model::{Holder, Role};

const PAUSE: Duration = Duration::from_millis(20);
const HOLDER_LIMIT: usize = 500;

/// An environment that is ours until this value is dropped, or its process dies in whatever way.
#[derive(Debug)]
#[must_use = "the environment is free again as soon as this is dropped"]
pub struct Lease {
    holder: Holder,
    left_behind: Option<Holder>,
    note: PathBuf,
    _lock: File,
}

/// Answer to the wish for an environment.
#[derive(Debug)]
pub enum LeaseOutcome {
    /// It is ours.
    Held(Lease),
    /// It was somebody else's all the time.
    Busy {
        /// Whose; absent in the moment before they have said so.
        holder: Option<Holder>,
    },
}

impl Lease {
    /// Who holds it: we.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Who held it before and died without giving it back.
    pub fn left_behind(&self) -> Option<&Holder> {
        self.left_behind.as_ref()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the lock goes, with the fields. A note that cannot be removed is reported by the next holder as
        // left behind: nothing is lost.
        drop(store::remove_file(&self.note));
    }
}

impl LocalForge {
    /// Takes an environment for ourselves, waiting for it at most `wait`.
    pub fn lease(
        &self,
        environment: &str,
        holder: &str,
        wait: Duration,
        now: Timestamp,
    ) -> Result<LeaseOutcome, ForgeError> {
        check_line("the holder", holder, HOLDER_LIMIT)?;
        let name = store::file_name("environment", environment)?;
        self.require(Role::Write, || format!("hold the environment `{environment}`"))?;
        let note = format!("leases/{name}.json");
        let path = self.store.path(&format!("leases/{name}.lock"));
        let lock = store::open_lock_file(&path)?;
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let left = wait.saturating_sub(started.elapsed());
                    if left.is_zero() {
                        return Ok(LeaseOutcome::Busy { holder: self.holder(&note)? });
                    }
                    std::thread::sleep(PAUSE.min(left));
                }
                Err(TryLockError::Error(source)) => return Err(ForgeError::file("lock", &path, source)),
            }
        }
        // A damaged note is nobody's: its writer is gone, and the environment is ours.
        let left_behind = self.holder(&note).unwrap_or_default();
        let file = HolderFile {
            version: FORMAT_VERSION,
            environment: environment.to_owned(),
            holder: holder.to_owned(),
            since: now,
        };
        let note = self.store.path(&note);
        let mut bytes = serde_json::to_vec_pretty(&file).expect("maps have text keys and nothing else can fail");
        bytes.push(b'\n');
        store::replace_file(&note, &bytes)?;
        Ok(LeaseOutcome::Held(Lease { holder: Holder::from(file), left_behind, note, _lock: lock }))
    }

    fn holder(&self, note: &str) -> Result<Option<Holder>, ForgeError> {
        Ok(self.store.read_json::<HolderFile>(note)?.map(Holder::from))
    }
}
