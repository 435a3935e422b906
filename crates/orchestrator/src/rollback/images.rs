//! Whether the images of a release still exist.

use config::Deployment;
use lock_model::{EnvironmentName, Lock};
use promotion::rollback::{self, RollbackTarget};

use super::RollbackGround;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::image_availability;
use crate::revision::Revision;

/// Refuses a release whose images are gone from the registry, and names the newest release whose images are all there.
/// Gives the images that were asked for.
pub(super) async fn images_are_there(
    context: &Context,
    engine: &Engine<'_>,
    target: &RollbackTarget,
    ground: &RollbackGround,
) -> Result<Vec<String>> {
    let lock = &engine.lock.lock;
    let gone = gone_of(context, &engine.revision, lock, &engine.environment.name).await?;
    if gone.is_empty() {
        let images = lock.services().values().filter_map(|service| service.content.image());
        return Ok(images.map(|image| format!("{}:{}@{}", image.repository, image.tag, image.digest)).collect());
    }
    let name = &engine.environment.name;
    let called = |target: &RollbackTarget| target.tag.clone().unwrap_or_else(|| target.release.id8().to_owned());
    let error = Error::new(ErrorKind::Image, format!("images of `{}` are not there any more", called(target)))
        .problems(gone)
        .hint("nothing was changed; push the images again, or go back to another release");
    let ledger = engine.store.ledger();
    let current = ledger.latest_touched(name).and_then(|record| record.entry.release.clone());
    for other in rollback::known_good(ledger, name, &|target| ground.holds(target)) {
        if other.release == target.release || Some(&other.release) == current.as_ref() {
            continue;
        }
        let Ok(revision) = Revision::load(context, &other.commit) else { continue };
        let Ok(Some(lock)) = revision.lock(context) else { continue };
        if gone_of(context, &revision, &lock.lock, name).await.is_ok_and(|gone| gone.is_empty()) {
            let again = format!("orchestrator rollback {name} --to {} --reason …", called(&other));
            return Err(error.hint(format!("`{again}`: all images of that release are there")));
        }
    }
    Err(error)
}

/// The images of a lock that an environment deploys and the registry no longer has.
pub(super) async fn gone_of(
    context: &Context,
    revision: &Revision,
    lock: &Lock,
    name: &EnvironmentName,
) -> Result<Vec<Problem>> {
    let environment = revision.environment(name)?;
    let today = context.now().date();
    image_availability::gone(context, revision, lock, |service, entry| {
        match environment.decide(service, &entry.path, today) {
            Deployment::Deploy(_) => true,
            Deployment::NotDeployed { .. } | Deployment::LockedOnly { .. } => false,
        }
    })
    .await
}
