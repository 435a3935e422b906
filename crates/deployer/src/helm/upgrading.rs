//! Installing and upgrading releases by helm, several at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lock_model::{ReleaseId, ServiceName};
use secrecy::ExposeSecret as _;

use super::chart_folder::ChartFolder;
use super::fixed::is_fixed;
use super::plan::{HelmPlan, PlannedRelease};
use super::program::{Capabilities, HelmProgram, HelmVersion, ReleaseName};
use super::render::{failed, in_parallel, render_again, run_blocking, words_of};
use super::stored::{DESCRIPTION, MADE_HERE, Status, stored_releases};
use super::target::{HelmTarget, subject_of};
use super::unchanged::Source;
use crate::error::DeployError;
use crate::namespace::MayWrite;

/// What became of a release in a batch.
enum Upgraded {
    Done,
    NotBegun,
}

/// Why a release is not as planned.
struct NotUpgraded {
    error: DeployError,
    /// Whether helm was started to change it.
    is_begun: bool,
}

impl From<DeployError> for NotUpgraded {
    fn from(error: DeployError) -> Self {
        Self { error, is_begun: false }
    }
}

impl HelmTarget {
    /// The releases of a wave whose charts cannot be rendered to anything else than was planned.
    ///
    /// Right before its upgrade a chart is rendered with the cluster once more and compared with the plan. Where all that a
    /// chart is rendered from can be compared in its place, that says the same: functions that give the same answer to the
    /// same arguments; files and values, which are the plan's own bytes; what the cluster says of its version and its
    /// kinds; the newest revision, which says whether helm installs or upgrades; and the helm itself. What a chart would
    /// render differently by chance alone is found by no further rendering, but by comparing what helm has stored.
    pub(super) async fn unmoved(
        &self,
        plan: &HelmPlan,
        releases: &[PlannedRelease],
    ) -> Result<BTreeSet<ServiceName>, DeployError> {
        let fixed: Vec<&PlannedRelease> = releases.iter().filter(|release| is_fixed(&release.chart)).collect();
        let connection = &self.namespace.connection;
        if fixed.is_empty() {
            return Ok(BTreeSet::new());
        }
        connection.refresh_discovery().await?;
        if Capabilities::read(connection).await? != plan.capabilities {
            return Ok(BTreeSet::new());
        }
        let is_ours = |name: &str| releases.iter().any(|release| release.service.as_str() == name);
        let stored = stored_releases(connection, &self.namespace.name, is_ours).await?;
        let is_as_planned = |release: &PlannedRelease| {
            let newest = stored.get(release.service.as_str()).map(|stored| (stored.revision, &stored.status));
            is_newest(release.revision, newest)
        };
        Ok(fixed.into_iter().filter(|one| is_as_planned(one)).map(|one| one.service.clone()).collect())
    }

    /// Several at once; after a failure no further one is begun, and those under way come to their end. An error comes with
    /// those that were begun.
    pub(super) async fn upgrade(
        &self,
        plan: &HelmPlan,
        changing: Vec<PlannedRelease>,
        at_once: usize,
        unmoved: BTreeSet<ServiceName>,
    ) -> Result<(), (DeployError, Vec<ServiceName>)> {
        if changing.is_empty() {
            return Ok(());
        }
        let (search, kubeconfig, namespace) =
            (self.search.clone(), self.kubeconfig.to_json(), self.namespace.name.clone());
        let (deadline, release) = (self.namespace.deadline, plan.request.release.clone());
        let planned_by = plan.helm.clone();
        let (may_write, questions) = self.namespace.write_questions();
        let work = run_blocking(move || {
            let helm = HelmProgram::find(&search)?;
            let upgrading = Upgrading {
                helm: &helm,
                planned_by: &planned_by,
                namespace: &namespace,
                kubeconfig: kubeconfig.expose_secret(),
                release_id: &release,
                unmoved: &unmoved,
                may_write: &may_write,
                room: Room::new(),
            };
            let stop = AtomicBool::new(false);
            let answers = in_parallel(at_once, &changing, |planned| {
                let may_begin = || !stop.load(Ordering::SeqCst) && !search.interrupt.is_requested();
                let patience = || deadline.saturating_duration_since(Instant::now());
                let answer = upgrading.upgrade(planned, &may_begin, &patience);
                if answer.is_err() {
                    stop.store(true, Ordering::SeqCst);
                }
                answer
            });
            let (mut begun, mut failed) = (Vec::new(), None);
            for (planned, answer) in changing.iter().zip(answers) {
                match answer {
                    Ok(Upgraded::NotBegun) => continue,
                    Ok(Upgraded::Done) => {}
                    Err(NotUpgraded { error, is_begun }) => {
                        failed = failed.or(Some(error));
                        if !is_begun {
                            continue;
                        }
                    }
                }
                begun.push(planned.service.clone());
            }
            Ok((failed, begun, changing.len()))
        });
        match self.namespace.answer(questions, work).await {
            Ok((Some(error), begun, _)) => Err((error, begun)),
            // Nothing failed, so that only an interrupt, or the loss of the lease, kept the others from their turn.
            Ok((None, begun, all)) if begun.len() < all => {
                let (subject, reason) = (self.namespace.subject(), self.namespace.stopped("it was interrupted"));
                Err((DeployError::NotDeployed { subject, reason, dossier: None }, begun))
            }
            Ok((None, ..)) => Ok(()),
            Err(error) => Err((error, Vec::new())),
        }
    }
}

/// Whether helm would do with a release what it was asked to do for the plan. A revision that was pending is called failed
/// meanwhile; one that is not deployed is not looked at closer.
fn is_newest(planned: Option<u64>, newest: Option<(u64, &Status)>) -> bool {
    match (planned, newest) {
        (None, None) => true,
        (Some(planned), Some((newest, status))) => newest == planned && *status == Status::Deployed,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// What all upgrades of a wave have in common.
struct Upgrading<'a> {
    helm: &'a HelmProgram,
    planned_by: &'a HelmVersion,
    namespace: &'a str,
    kubeconfig: &'a str,
    release_id: &'a ReleaseId,
    unmoved: &'a BTreeSet<ServiceName>,
    may_write: &'a MayWrite,
    room: Room,
}

impl Upgrading<'_> {
    fn upgrade(
        &self,
        planned: &PlannedRelease,
        may_begin: &dyn Fn() -> bool,
        patience: &dyn Fn() -> Duration,
    ) -> Result<Upgraded, NotUpgraded> {
        // helm waits for hooks, which takes no processor; they may take long, and are not to keep others from theirs.
        let _place = planned.rendering.hooks.is_empty().then(|| self.room.enter());
        if !may_begin() {
            return Ok(Upgraded::NotBegun);
        }
        let folder = ChartFolder::write(&planned.chart, &planned.values)?.with_kubeconfig(self.kubeconfig)?;
        let release = ReleaseName { name: planned.service.as_str(), namespace: self.namespace };
        let is_as_planned = self.unmoved.contains(&planned.service) && self.helm.version() == self.planned_by;
        // The cluster may say something else than when it was planned.
        if !is_as_planned
            && let Some(difference) = planned.rendering.difference(&render_again(self.helm, &folder, release)?)
        {
            let (subject, difference) = (subject_of(&planned.service), difference.to_string());
            return Err(DeployError::PlanMoved { subject, difference, dossier: None }.into());
        }
        let source = Source {
            service: &planned.service,
            namespace: self.namespace,
            files: &planned.chart,
            values: &planned.values,
        };
        let mut description = format!("{DESCRIPTION}{}", self.release_id);
        // What another chart renders can be of Secrets of the cluster, of which no plain digest is kept.
        if source.is_closed() {
            description = format!("{description} {}", source.fingerprint(self.helm.version(), &planned.rendering));
        }
        let label = format!("{MADE_HERE}={}", self.release_id.id8());
        self.may_write.ask()?;
        let output = self.helm.upgrade(&folder, release, &description, &label, patience());
        let begun = |error| NotUpgraded { error, is_begun: true };
        let output = output.map_err(|error| begun(failed(release.name, "install it", error)))?;
        match output.checked() {
            Ok(_) => Ok(Upgraded::Done),
            Err(error) => {
                let (subject, verb) = (subject_of(&planned.service), planned.action.verb());
                let reason = format!("helm does not {verb} it: {}", words_of(&error));
                Err(begun(DeployError::NotDeployed { subject, reason, dossier: None }))
            }
        }
    }
}

/// Places for programs that keep a processor busy: as many as there are processors, and one for the time that another one
/// waits for the cluster. More at once would all end late, and the cluster could begin with nothing meanwhile.
struct Room {
    free: Mutex<usize>,
    left: Condvar,
}

impl Room {
    fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { free: Mutex::new(processors + 1), left: Condvar::new() }
    }

    /// Waits for a place, which is free again once the answer is dropped.
    fn enter(&self) -> Place<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.left.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

struct Place<'a>(&'a Room);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_a_release_of_another_revision_than_planned_is_rendered_again() {
        let failed = Status::Other("failed".to_owned());
        for (planned, newest, expected) in [
            (None, None, true),
            (Some(3), Some((3, &Status::Deployed)), true),
            (Some(3), Some((4, &Status::Deployed)), false),
            (Some(3), Some((3, &Status::Unfinished("pending-upgrade".to_owned()))), false),
            (Some(3), Some((3, &failed)), false),
            (Some(3), None, false),
            (None, Some((1, &Status::Deployed)), false),
        ] {
            assert_eq!(is_newest(planned, newest), expected, "{planned:?} {newest:?}");
        }
    }

    #[test]
    fn there_is_room_for_a_processor_each_and_one_more() {
        let room = Room::new();
        let places = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        let taken: Vec<Place<'_>> = (0..places).map(|_| room.enter()).collect();
        assert_eq!(*room.free.lock().unwrap(), 0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| drop(room.enter()));
            drop(taken);
            waiting.join().unwrap();
        });
        assert_eq!(*room.free.lock().unwrap(), places);
    }
}
