use std::fs::{File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lock_model::EnvironmentName;

use super::LocalForge;
use super::access::check_line;
use super::store;
use crate::error::ForgeError;
use crate::model::{Lease, LeaseHolder, LeaseOutcome, Role};

const HOLDER_LIMIT: usize = 500;

/// The system unlocks the file when the process dies; the note beside it then names the run that died.
///
/// A lease that is broken has its file replaced by another one: the lock on the file before is worth nothing then.
#[derive(Debug)]
struct LocalLease {
    note: PathBuf,
    path: PathBuf,
    lock: File,
}

/// Whether the locked file is still the one of this name.
fn is_current(lock: &File, path: &Path) -> bool {
    let id = |metadata: std::io::Result<Metadata>| metadata.ok().map(|found| (found.dev(), found.ino()));
    id(lock.metadata()).is_some_and(|locked| id(std::fs::metadata(path)) == Some(locked))
}

impl Drop for LocalLease {
    fn drop(&mut self) {
        // Before the lock goes. A note that cannot be removed costs nothing: the next holder reports
        // this run as one that did not give the environment back.
        if is_current(&self.lock, &self.path) {
            drop(store::remove_file(&self.note));
        }
        // Closing the file is not enough: a program that another thread starts at this moment has a copy of its
        // descriptor until it runs, and the lock lives as long as any copy.
        drop(self.lock.unlock());
    }
}

impl LocalForge {
    /// Takes an environment for the run that `holder` names, in one attempt.
    pub fn lease(&self, environment: &EnvironmentName, holder: &str) -> Result<LeaseOutcome, ForgeError> {
        check_line("the holder", holder, HOLDER_LIMIT)?;
        self.require(Role::Write, || format!("hold the environment `{environment}`"))?;
        let note = format!("leases/{environment}.json");
        let path = self.store.path(&format!("leases/{environment}.lock"));
        let lock = store::open_lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Ok(LeaseOutcome::Busy { holder: self.store.read_json(&note)? });
            }
            Err(TryLockError::Error(source)) => return Err(ForgeError::file("lock", &path, source)),
        }
        if !is_current(&lock, &path) {
            // It was broken between opening and locking: who broke it has it.
            return Ok(LeaseOutcome::Busy { holder: self.store.read_json(&note)? });
        }
        self.hold(environment, holder, path, lock).map(LeaseOutcome::Held)
    }

    /// Takes an environment from the run that has it: that run keeps the lock of a file that has no name any more.
    pub fn break_lease(&self, environment: &EnvironmentName, holder: &str) -> Result<Lease, ForgeError> {
        check_line("the holder", holder, HOLDER_LIMIT)?;
        self.require(Role::Write, || format!("break the lease of the environment `{environment}`"))?;
        let path = self.store.path(&format!("leases/{environment}.lock"));
        let fresh = self.store.path(&format!("leases/.{environment}.lock.{}", std::process::id()));
        let lock = store::open_lock_file(&fresh)?;
        lock.lock().map_err(|source| ForgeError::file("lock", &fresh, source))?;
        store::rename(&fresh, &path)?;
        self.hold(environment, holder, path, lock)
    }

    fn hold(
        &self,
        environment: &EnvironmentName,
        holder: &str,
        path: PathBuf,
        lock: File,
    ) -> Result<Lease, ForgeError> {
        let note = format!("leases/{environment}.json");
        // A damaged note names no holder: its writer is gone, and the environment is free.
        let abandoned_by = self.store.read_json(&note).unwrap_or_default();
        let holder =
            LeaseHolder { environment: environment.clone(), holder: holder.to_owned(), since: self.clock.now() };
        let note = self.store.path(&note);
        store::replace_file(&note, &store::to_json(&holder))?;
        Ok(Lease::new(holder, abandoned_by, LocalLease { note, path, lock }))
    }
}
