use super::LocalForge;
use super::store::{self, BLOB_LIMIT};
use crate::error::ForgeError;
use crate::model::{Role, WriteOutcome};

impl LocalForge {
    /// Stores a file with a pull request, in place of one of the same name.
    pub fn put_artefact(&self, number: u64, name: &str, bytes: &[u8]) -> Result<WriteOutcome, ForgeError> {
        let path = path(number, name)?;
        if bytes.len() as u64 > BLOB_LIMIT {
            let problem = format!("it is larger than {BLOB_LIMIT} bytes");
            return Err(ForgeError::invalid(format!("artefact `{name}`"), problem));
        }
        self.require(Role::Write, || format!("store `{name}` with pull request {number}"))?;
        self.read_pull(number)?;
        let writer = self.store.writer()?;
        let outcome = WriteOutcome::of(self.store.read_bytes(&path)?.as_deref(), bytes);
        if outcome != WriteOutcome::Unchanged {
            writer.write_bytes(&path, bytes)?;
        }
        Ok(outcome)
    }

    /// A file that is stored with a pull request.
    pub fn artefact(&self, number: u64, name: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        let path = path(number, name)?;
        self.read_pull(number)?;
        self.store.read_bytes(&path)
    }
}

fn path(number: u64, name: &str) -> Result<String, ForgeError> {
    store::plain_file_name("artefact", name)?;
    Ok(format!("artefacts/pull-{number}/{name}"))
}
