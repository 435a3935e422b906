//! Files stored with a pull request: a convenience for readers, never believed.

use super::open::LocalForge;
use super::store::{self, BLOB_LIMIT};
use crate::error::ForgeError;
use crate::model::{Role, Written};

impl LocalForge {
    /// Stores a file with a pull request, in place of one of the same name.
    pub fn put_artefact(&self, number: u64, name: &str, bytes: &[u8]) -> Result<Written, ForgeError> {
        let path = path(number, name)?;
        if bytes.len() as u64 > BLOB_LIMIT {
            return Err(ForgeError::invalid(
                format!("artefact `{name}`"),
                format!("it is larger than {BLOB_LIMIT} bytes"),
            ));
        }
        self.require(Role::Write, || format!("store `{name}` with pull request {number}"))?;
        self.read_pull(number)?;
        let writer = self.store.writer()?;
        let written = match self.store.read_bytes(&path)? {
            Some(before) if before == bytes => return Ok(Written::Unchanged),
            Some(_) => Written::Updated,
            None => Written::Created,
        };
        writer.write_bytes(&path, bytes)?;
        Ok(written)
    }

    /// A file stored with a pull request.
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
