//! What somebody in a hurry does to a lock by hand.

use std::path::Path;

use lock_model::{Content, Digest, Lock};

use super::shop::Shop;
use orchestrator::{Error, ErrorKind, Result};

/// Writes two bad copies of staging's lock: one with an edited digest, one where the id was made right again.
pub(super) fn write(shop: &Shop, folder: &Path) -> Result<()> {
    let failed = |what: String| Error::new(ErrorKind::Bug, what);
    let bytes = shop
        .superproject()?
        .read_file("refs/heads/staging", lock_model::LOCK_FILE)
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| failed("staging has no lock".to_owned()))?;
    let lock = lock_model::Lock::parse(&bytes, lock_model::LOCK_FILE).map_err(|error| failed(error.to_string()))?;
    let cart = lock.services().iter().find_map(|(name, service)| match &service.content {
        Content::Image(image) if name.as_str() == "shop-cart" => Some(image.digest.clone()),
        Content::Image(_) | Content::Configuration => None,
    });
    let cart = cart.ok_or_else(|| failed("the lock has no cart".to_owned()))?;
    let other = Digest::of(b"an image that nobody reviewed");
    let text = String::from_utf8_lossy(&bytes).replace(cart.as_str(), other.as_str());
    let mut parts = lock.into_parts();
    for (name, service) in &mut parts.services {
        if let Content::Image(image) = &mut service.content
            && name.as_str() == "shop-cart"
        {
            image.digest = other.clone();
        }
    }
    let recomputed = Lock::new(parts).map_err(|error| failed(error.to_string()))?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join("digest.yaml"), text))
        .and_then(|()| std::fs::write(folder.join("recomputed.yaml"), recomputed.to_yaml()))
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the tampered locks cannot be written", error))
}
