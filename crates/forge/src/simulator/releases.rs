use lock_model::{Digest, ReleaseTag};

use super::Simulator;
use crate::error::ForgeError;
use crate::local::releases::path;
use crate::local::store;
use crate::model::Release;

impl Simulator<'_> {
    /// A release; absent when the tag carries none.
    pub fn release(&self, tag: &ReleaseTag) -> Result<Option<Release>, ForgeError> {
        self.forge.store.read_json(&format!("{}/release.json", path(tag)?))
    }

    /// A file of a release; absent when the release has none of that name, an error when its bytes are not those that
    /// were attached.
    pub fn release_asset(&self, tag: &ReleaseTag, name: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        store::plain_file_name("asset", name)?;
        let Some(release) = self.release(tag)? else { return Ok(None) };
        let Some(asset) = release.assets.into_iter().find(|asset| asset.name == name) else { return Ok(None) };
        let relative = format!("{}/assets/{name}", path(tag)?);
        let bytes = self.forge.store.read_bytes(&relative)?;
        if bytes.as_deref().map(Digest::of).as_ref() != Some(&asset.digest) {
            return Err(ForgeError::damaged(
                &self.forge.store.path(&relative),
                format!("it is not what was attached, `{}`", asset.digest),
            ));
        }
        Ok(bytes)
    }
}
