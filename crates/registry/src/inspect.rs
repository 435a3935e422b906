//! What an image says of itself: its platforms, when it was made, and of which commit.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use lock_model::{CreatedFrom, Digest, Platform};

use crate::backend::{Backend, check_size};
use crate::document::{self, Descriptor, Document, Fetched, ImageConfig, Manifest, creation_date};
use crate::error::RegistryErrorKind;
use crate::platform::{PlatformKey, choose};
use crate::request::{ImageDate, Warning};
use crate::text::escaped;

/// What was found behind a digest.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) platforms: BTreeMap<Platform, Digest>,
    /// The date, where the image has one.
    pub(crate) created: Option<ImageDate>,
    /// The commit that each platform's image says it was built from.
    pub(crate) revisions: BTreeMap<Platform, Option<String>>,
    pub(crate) warnings: Vec<Warning>,
}

/// Most entries of an index without a platform that are looked into.
const MOST_SILENT: usize = 16;

#[derive(Debug)]
struct Child {
    platform: Platform,
    digest: Digest,
    config: ImageConfig,
    manifest: Manifest,
}

/// Reads an image down to the configurations of the required platforms; every document is hashed on the way.
pub(crate) async fn inspect(
    backend: &Backend<'_>,
    digest: &Digest,
    fetched: Fetched,
    required: &[Platform],
) -> Result<Inspected, RegistryErrorKind> {
    let (children, annotated, of_the_index, foreign_urls) =
        match document::parse(&fetched.bytes, fetched.media_type.as_deref())? {
            Document::Manifest(manifest) => {
                let child = single(backend, digest, manifest, required).await?;
                (vec![child], None, None, false)
            }
            Document::Index(index) => {
                let images = with_platforms(backend, &index.entries).await?;
                let entries = choose(images, required)?;
                let children = entries.into_iter().map(|(platform, entry)| of_platform(backend, platform, entry));
                // All of them, and then the first problem in the platforms' order: the same one each time.
                let children = join_all(children).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                (children, index.created, index.revision, index.foreign_urls)
            }
        };
    Ok(summary(children, annotated.as_ref(), of_the_index.as_deref(), foreign_urls))
}

/// The images of an index with their platforms. Those of entries that name none are read from their configurations; what
/// has none, such as a signature, is no image.
async fn with_platforms<'a>(
    backend: &Backend<'_>,
    entries: &'a [Descriptor],
) -> Result<Vec<(PlatformKey, &'a Descriptor)>, RegistryErrorKind> {
    let silent: Vec<&Descriptor> = entries.iter().filter(|entry| entry.names_no_platform()).collect();
    if silent.len() > MOST_SILENT {
        let reason = format!("an index with {} entries that name no platform", silent.len());
        return Err(RegistryErrorKind::NotAnImage { reason });
    }
    let mut images: Vec<(PlatformKey, &Descriptor)> =
        entries.iter().filter_map(|entry| Some((entry.platform_key()?, entry))).collect();
    let found = join_all(silent.iter().map(|entry| platform_of(backend, entry))).await;
    for (entry, platform) in silent.into_iter().zip(found) {
        images.extend(platform?.map(|platform| (platform, entry)));
    }
    Ok(images)
}

/// The platform that the configuration of an entry names; `None` where the entry is no image.
async fn platform_of(backend: &Backend<'_>, entry: &Descriptor) -> Result<Option<PlatformKey>, RegistryErrorKind> {
    let fetched = match backend.manifest(&entry.digest).await {
        Err(RegistryErrorKind::Gone { .. }) => return Ok(None),
        other => other?,
    };
    let Ok(Document::Manifest(manifest)) = document::parse(&fetched.bytes, Some(&entry.media_type)) else {
        return Ok(None);
    };
    let config = configuration(backend, &manifest.config).await?;
    let reported = config.platform();
    let is_image = !reported.os.is_empty() && reported.os != "unknown";
    Ok(is_image.then(|| PlatformKey::new(reported.os, reported.architecture, reported.variant)))
}

/// An image that has no index: its configuration alone says what platform it is for.
async fn single(
    backend: &Backend<'_>,
    digest: &Digest,
    manifest: Manifest,
    required: &[Platform],
) -> Result<Child, RegistryErrorKind> {
    let config = configuration(backend, &manifest.config).await?;
    let reported = config.platform();
    let key = PlatformKey::new(reported.os, reported.architecture, reported.variant);
    let itself = key.to_platform().ok_or_else(|| RegistryErrorKind::NotAnImage {
        reason: format!("its configuration names the platform `{}`", escaped(reported.to_string())),
    })?;
    let wanted: Vec<Platform> =
        required.iter().filter(|platform| PlatformKey::from(*platform) != key).cloned().collect();
    if !wanted.is_empty() {
        return Err(RegistryErrorKind::PlatformMissing { wanted, available: vec![itself.to_string()] });
    }
    let platform = required.first().cloned().unwrap_or(itself);
    Ok(Child { platform, digest: digest.clone(), config, manifest })
}

/// The image for one platform of an index.
async fn of_platform(
    backend: &Backend<'_>,
    platform: Platform,
    entry: &Descriptor,
) -> Result<Child, RegistryErrorKind> {
    let fetched = match backend.manifest(&entry.digest).await {
        Err(RegistryErrorKind::Gone { digest }) => {
            return Err(RegistryErrorKind::ChildMissing { what: format!("manifest for `{platform}`"), digest });
        }
        other => other?,
    };
    check_size(&entry.digest, entry.size, &fetched.bytes)?;
    let Document::Manifest(manifest) = document::parse(&fetched.bytes, Some(&entry.media_type))? else {
        let reason = format!("its entry for `{platform}` is an index again");
        return Err(RegistryErrorKind::NotAnImage { reason });
    };
    if let Some(served_as) = fetched.media_type.filter(|served_as| *served_as != entry.media_type) {
        let reason = format!("the index announces a `{}`, served is a `{}`", entry.media_type, escaped(&served_as));
        return Err(RegistryErrorKind::NotAnImage { reason });
    }
    let config = configuration(backend, &manifest.config).await?;
    let reported = config.platform();
    if !PlatformKey::from(&platform).accepts(&reported) {
        let reported = reported.to_string();
        return Err(RegistryErrorKind::PlatformDiffers { platform, digest: entry.digest.clone(), reported });
    }
    Ok(Child { platform, digest: entry.digest.clone(), config, manifest })
}

async fn configuration(backend: &Backend<'_>, descriptor: &Descriptor) -> Result<ImageConfig, RegistryErrorKind> {
    let bytes = backend.config(&descriptor.digest).await?;
    check_size(&descriptor.digest, descriptor.size, &bytes)?;
    ImageConfig::parse(&bytes)
}

fn summary(
    children: Vec<Child>,
    annotated: Option<&String>,
    of_the_index: Option<&str>,
    foreign_urls: bool,
) -> Inspected {
    let mut warnings = Vec::new();
    if foreign_urls || children.iter().any(|child| child.manifest.foreign_urls) {
        warnings.push(Warning::ForeignUrls);
    }
    let mut date = |text: Option<&String>| {
        let text = text?;
        creation_date(text).unwrap_or_else(|()| {
            warnings.push(Warning::UnreadableDate { text: escaped(text) });
            None
        })
    };
    let built = children.iter().filter_map(|child| date(child.config.created.as_ref())).max();
    let created = match built {
        Some(time) => Some(ImageDate { time, from: CreatedFrom::Config }),
        None => date(annotated)
            .or_else(|| children.iter().filter_map(|child| date(child.manifest.created.as_ref())).max())
            .map(|time| ImageDate { time, from: CreatedFrom::Annotation }),
    };
    // The label is part of what runs; annotations are what builders write where they cannot set it.
    let revision = |child: &Child| {
        let annotated = child.manifest.revision.as_deref().or(of_the_index);
        child.config.revision().or(annotated).map(str::to_owned)
    };
    let revisions = children.iter().map(|child| (child.platform.clone(), revision(child))).collect();
    let platforms = children.into_iter().map(|child| (child.platform, child.digest)).collect();
    Inspected { platforms, created, revisions, warnings }
}
