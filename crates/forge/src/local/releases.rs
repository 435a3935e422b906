//! Releases: an annotated tag, and files that never change afterwards.

use std::collections::BTreeSet;

use git::{ABSENT, RefUpdate};
use lock_model::{Digest, ReleaseTag, Timestamp, UserName};

use super::access::check_text;
use super::merge::identity;
use super::open::LocalForge;
use super::store::{self, BLOB_LIMIT, Writer};
use super::wire::{AssetEntry, FORMAT_VERSION, ReleaseFile};
use crate::error::ForgeError;
use crate::model::{NewRelease, Release, ReleaseOutcome, Role};

const MESSAGE_LIMIT: usize = 65_536;

impl LocalForge {
    /// Makes an annotated tag and a release with files; the same again, also after a crash between the two, is one.
    pub fn create_release(&self, new: &NewRelease, now: Timestamp) -> Result<ReleaseOutcome, ForgeError> {
        check_text("the tag's message", &new.message, MESSAGE_LIMIT)?;
        let mut names = BTreeSet::new();
        for asset in &new.assets {
            store::plain_file_name("asset", &asset.name)?;
            let problem = if asset.bytes.len() as u64 > BLOB_LIMIT {
                "it is too large"
            } else if !names.insert(asset.name.as_str()) {
                "there are two of that name"
            } else {
                continue;
            };
            return Err(ForgeError::invalid(format!("asset `{}`", asset.name), problem));
        }
        let path = path(&new.tag)?;
        let user = match self.actor_with(Role::Write)? {
            Ok(user) => user,
            Err(reason) => return Ok(ReleaseOutcome::Refused { reasons: vec![reason] }),
        };
        let writer = self.store.writer()?;
        let mut assets: Vec<AssetEntry> = new
            .assets
            .iter()
            .map(|asset| AssetEntry {
                name: asset.name.clone(),
                digest: Digest::of(&asset.bytes),
                size: asset.bytes.len() as u64,
            })
            .collect();
        assets.sort_by(|one, other| one.name.cmp(&other.name));
        let file = ReleaseFile {
            version: FORMAT_VERSION,
            tag: new.tag.clone(),
            commit: new.commit.clone(),
            message: new.message.clone(),
            assets,
            by: user.name.clone(),
            at: now,
        };

        let before: Option<ReleaseFile> = self.store.read_json(&format!("{path}/release.json"))?;
        let mut reasons = Vec::new();
        if let Some(before) = &before {
            if before.commit == file.commit && before.message != file.message {
                reasons.push(format!("release `{}` has another message", new.tag));
            }
            if before.assets != file.assets {
                reasons.push(format!("release `{}` has other files", new.tag));
            }
        }
        if let Some(reason) = self.ensure_tag(&writer, new, &user.name, now)? {
            reasons.insert(0, reason);
        }
        if !reasons.is_empty() {
            return Ok(ReleaseOutcome::Refused { reasons });
        }
        if let Some(before) = before {
            return Ok(ReleaseOutcome::Exists(Release::from(before)));
        }
        let mut json = serde_json::to_vec_pretty(&file).expect("maps have text keys and nothing else can fail");
        json.push(b'\n');
        let mut files = vec![("release.json".to_owned(), json.as_slice())];
        files.extend(new.assets.iter().map(|asset| (format!("assets/{}", asset.name), asset.bytes.as_slice())));
        writer.write_folder(&path, &files)?;
        Ok(ReleaseOutcome::Created(Release::from(file)))
    }

    /// All releases, by time and tag.
    pub fn releases(&self) -> Result<Vec<Release>, ForgeError> {
        let mut releases = Vec::new();
        for name in self.store.names("releases")? {
            if let Some(file) = self.store.read_json::<ReleaseFile>(&format!("releases/{name}/release.json"))? {
                releases.push(Release::from(file));
            }
        }
        releases.sort_by(|one, other| (one.at, &one.tag).cmp(&(other.at, &other.tag)));
        Ok(releases)
    }

    /// One release.
    pub fn release(&self, tag: &ReleaseTag) -> Result<Option<Release>, ForgeError> {
        let file: Option<ReleaseFile> = self.store.read_json(&format!("{}/release.json", path(tag)?))?;
        Ok(file.map(Release::from))
    }

    /// A file of a release; one that is not what was attached is an error.
    pub fn release_asset(&self, tag: &ReleaseTag, name: &str) -> Result<Option<Vec<u8>>, ForgeError> {
        store::plain_file_name("asset", name)?;
        let Some(release) = self.release(tag)? else { return Ok(None) };
        let Some(asset) = release.assets.into_iter().find(|asset| asset.name == name) else { return Ok(None) };
        let relative = format!("{}/assets/{name}", path(tag)?);
        let bytes = self.store.read_bytes(&relative)?;
        if bytes.as_deref().map(Digest::of).as_ref() != Some(&asset.digest) {
            return Err(ForgeError::damaged(
                &self.store.path(&relative),
                format!("it is not what was attached, `{}`", asset.digest),
            ));
        }
        Ok(bytes)
    }

    /// Makes the tag, or says why the one that is there is another.
    fn ensure_tag(
        &self,
        _writer: &Writer<'_>,
        new: &NewRelease,
        user: &UserName,
        now: Timestamp,
    ) -> Result<Option<String>, ForgeError> {
        let name = new.tag.full();
        if self.git.rev_parse(&name)?.is_none() {
            if self.git.commit(new.commit.as_str())?.is_none() {
                return Ok(Some(format!("there is no commit `{}`", new.commit)));
            }
            let tag = self.git.write_tag(new.tag.as_str(), &new.commit, &new.message, &identity(user, now))?;
            if self.git.update_ref(&name, &tag, Some(ABSENT))? == RefUpdate::Done {
                return Ok(None);
            }
        }
        let commit = self.git.commit(&name)?.map(|commit| commit.id);
        if commit.as_ref() != Some(&new.commit) {
            let what = commit.map_or_else(|| "no commit".to_owned(), |commit| format!("`{commit}`"));
            return Ok(Some(format!("tag `{}` exists and names {what}, not `{}`", new.tag, new.commit)));
        }
        Ok(match self.git.tag_message(&name)? {
            Some(message) if message.trim_end() == new.message.trim_end() => None,
            Some(_) => Some(format!("tag `{}` exists with another message", new.tag)),
            None => Some(format!("tag `{}` exists and is not annotated", new.tag)),
        })
    }
}

fn path(tag: &ReleaseTag) -> Result<String, ForgeError> {
    Ok(format!("releases/{}", store::file_name("tag", tag.as_str())?))
}
