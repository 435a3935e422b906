use std::collections::BTreeSet;

use git::{ABSENT, RefUpdate};
use lock_model::{Digest, ReleaseTag};

use super::LocalForge;
use super::access::check_text;
use super::commits::identity;
use super::store::{self, BLOB_LIMIT, Writer};
use crate::error::ForgeError;
use crate::model::{Asset, NewAsset, NewRelease, Release, ReleaseOutcome, Role};

const MESSAGE_LIMIT: usize = 65_536;

impl LocalForge {
    /// Makes an annotated tag and a release with files; the same again, also after a crash between the two, is one.
    pub fn create_release(&self, new: &NewRelease) -> Result<ReleaseOutcome, ForgeError> {
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
        let is_reserved = self.reserved_refs()?.iter().any(|pattern| pattern.covers_tag(new.tag.as_str()));
        if is_reserved && !user.bot {
            return Ok(ReleaseOutcome::Refused {
                reasons: vec![format!("tag `{}` is reserved: only bots make it", new.tag)],
            });
        }
        let writer = self.store.writer()?;
        let asset = |NewAsset { name, bytes }: &NewAsset| Asset {
            name: name.clone(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        let mut assets: Vec<Asset> = new.assets.iter().map(asset).collect();
        assets.sort_by(|one, other| one.name.cmp(&other.name));
        let release = Release {
            tag: new.tag.clone(),
            commit: new.commit.clone(),
            message: new.message.clone(),
            assets,
            by: user.name,
            at: self.clock.now(),
        };

        let before: Option<Release> = self.store.read_json(&format!("{path}/release.json"))?;
        let mut reasons = Vec::new();
        if let Some(before) = &before {
            if before.commit == release.commit && before.message != release.message {
                reasons.push(format!("release `{}` has another message", new.tag));
            }
            if before.assets != release.assets {
                reasons.push(format!("release `{}` has other files", new.tag));
            }
        }
        if let Some(reason) = self.ensure_tag(&writer, &release)? {
            reasons.insert(0, reason);
        }
        if !reasons.is_empty() {
            return Ok(ReleaseOutcome::Refused { reasons });
        }
        if let Some(before) = before {
            return Ok(ReleaseOutcome::Exists(before));
        }
        let json = store::to_json(&release);
        let mut files = vec![("release.json".to_owned(), json.as_slice())];
        files.extend(new.assets.iter().map(|asset| (format!("assets/{}", asset.name), asset.bytes.as_slice())));
        writer.write_folder(&path, &files)?;
        Ok(ReleaseOutcome::Created(release))
    }

    /// All releases, by time and tag.
    pub fn releases(&self) -> Result<Vec<Release>, ForgeError> {
        let names = self.store.names("releases")?.into_iter().map(|name| format!("{name}/release.json"));
        let mut releases: Vec<Release> = self.store.read_all("releases", names)?;
        releases.sort_by(|one, other| (one.at, &one.tag).cmp(&(other.at, &other.tag)));
        Ok(releases)
    }

    /// Makes the tag, or says why the one that is there is another.
    fn ensure_tag(&self, _writer: &Writer<'_>, new: &Release) -> Result<Option<String>, ForgeError> {
        let name = new.tag.full();
        if self.git.rev_parse(&name)?.is_none() {
            if self.git.commit(new.commit.as_str())?.is_none() {
                return Ok(Some(format!("there is no commit `{}`", new.commit)));
            }
            let tag = self.git.write_tag(new.tag.as_str(), &new.commit, &new.message, &identity(&new.by, new.at))?;
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

pub(crate) fn path(tag: &ReleaseTag) -> Result<String, ForgeError> {
    Ok(format!("releases/{}", store::file_name("tag", tag.as_str())?))
}
