use std::fs::{File, TryLockError};
use std::path::PathBuf;

use lock_model::EnvironmentName;

use super::LocalForge;
use super::access::check_line;
use super::store;
use crate::error::ForgeError;
use crate::model::{Lease, LeaseHolder, LeaseOutcome, Role};

const HOLDER_LIMIT: usize = 500;

/// The system unlocks the file when the process dies; the note beside it then names the run that died.
#[derive(Debug)]
struct LocalLease {
    note: PathBuf,
    lock: File,
}

impl Drop for LocalLease {
    fn drop(&mut self) {
        // Before the lock goes. A note that cannot be removed costs nothing: the next holder reports
        // this run as one that did not give the environment back.
        drop(store::remove_file(&self.note));
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
        // A damaged note names no holder: its writer is gone, and the environment is free.
        let abandoned_by = self.store.read_json(&note).unwrap_or_default();
        let holder =
            LeaseHolder { environment: environment.clone(), holder: holder.to_owned(), since: self.clock.now() };
        let note = self.store.path(&note);
        store::replace_file(&note, &store::to_json(&holder))?;
        Ok(LeaseOutcome::Held(Lease::new(holder, abandoned_by, LocalLease { note, lock })))
    }
}
