//! What to do about a failure of a library below, by its cause. A cause without an entry has no hint: a wrong one is worse
//! than none.

mod manifests;

use std::sync::Arc;

use cluster::{FailureClass, LeaseLoss, LeasePlace, LeaseState};
use deployer::DeployError;
use forge::ForgeErrorKind;
use git::{GitError, GitErrorKind, RemoteFault};
use lock_model::{CONFIG_FILE, CommitId, EnvironmentName, ErrorClass};

pub(crate) use self::manifests::of_manifest;
use crate::input_file::read_input;
use crate::inputs::Inputs;

/// What to do about an error of git.
pub(crate) fn of_git(error: &GitError) -> Option<String> {
    of_git_kind(error.kind(), error.class(), error.remote_fault(), error.subject())
}

fn of_git_kind(kind: GitErrorKind, class: ErrorClass, fault: Option<RemoteFault>, subject: &str) -> Option<String> {
    match kind {
        GitErrorKind::NotARepository => {
            Some("run inside the superproject, or name it with `--repository DIR`".to_owned())
        }
        GitErrorKind::ForeignOwner => Some(format!(
            "if you trust that user's files: `git config --global --add safe.directory {}`; else run as the user who owns them",
            shell_word(subject)
        )),
        GitErrorKind::TooOld => Some("install git 2.38 or newer".to_owned()),
        GitErrorKind::Remote => fault.map(of_remote_fault).or_else(|| of_remote(class)),
        GitErrorKind::Rewritten => Some(REWRITTEN.to_owned()),
        GitErrorKind::Io | GitErrorKind::Process if class == ErrorClass::Storage => Some(STORAGE.to_owned()),
        GitErrorKind::NotFound
        | GitErrorKind::Operand
        | GitErrorKind::UnexpectedOutput
        | GitErrorKind::Io
        | GitErrorKind::Process => None,
        _ => None,
    }
}

/// What to do about the error of git among the causes of this one, where it says more than its class.
pub(crate) fn of_remote_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let shared = error.downcast_ref().map(|error: &Arc<GitError>| &**error);
    match error.downcast_ref().or(shared) {
        Some(error) => error.remote_fault().map(of_remote_fault),
        None => of_remote_cause(error.source()?),
    }
}

fn of_remote_fault(fault: RemoteFault) -> String {
    match fault {
        RemoteFault::Untrusted => {
            "name the authority that signed the host's certificate: `http.sslCAInfo` in git's configuration (also \
             `http.URL.sslCAInfo`), or `GIT_SSL_CAINFO`"
        }
        RemoteFault::Certificate => {
            "who runs the host must replace its certificate; or ask it by a name that the certificate has, in `.gitmodules`, and \
             look at this machine's clock"
        }
        RemoteFault::AuthorityFile => {
            "`GIT_SSL_CAINFO`, or `http.sslCAInfo` in git's configuration, must name a file with certificates in PEM that this \
             user can read"
        }
        RemoteFault::UnknownRepository => {
            "correct the URL in `.gitmodules`; hosts say the same of a repository that the job may not see: give git a login that \
             may read it, so that `git ls-remote URL` works"
        }
        RemoteFault::UnknownHost => {
            "correct the host in `.gitmodules`; where it is right, run the same command again, and see that this machine's name \
             server knows it"
        }
        _ => "`git ls-remote URL` must work for who runs this",
    }
    .to_owned()
}

/// What to do about a remote that did not give what it was asked for.
pub(crate) fn of_remote(class: ErrorClass) -> Option<String> {
    match class {
        ErrorClass::Denied => Some(
            "`git ls-remote URL` must work for who runs this, with what the job gives git: a header or helper in its \
             configuration, `GIT_ASKPASS`, `GIT_SSH_COMMAND`, an ssh key"
                .to_owned(),
        ),
        ErrorClass::Temporary => Some("run the same command again".to_owned()),
        ErrorClass::Storage => Some(STORAGE.to_owned()),
        ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Bug => None,
    }
}

/// What to do about a deployment that failed, where no rollback has begun.
pub(crate) const GOES_ON: &str = "correct it in a change of its own; the same command goes on from here";

/// What to do about a release that helm cannot store.
const CHART_SIZE: &str = "helm stores a release with all files of its chart: leave out what no template needs, by the chart's \
                          `.helmignore` or in another folder";

/// What to do about a target that was not read or written.
pub(crate) fn of_target(error: &DeployError) -> Option<String> {
    match error {
        DeployError::Moved { .. } => Some("another run wrote it meanwhile: run the same command again".to_owned()),
        DeployError::Written { .. } => Some("run the same command again".to_owned()),
        DeployError::Refused { .. } => {
            Some("the user who deploys must be allowed to push there: a bot, where the branch is reserved".to_owned())
        }
        DeployError::Failed { class, subject, .. } if subject.starts_with("helm") => match class {
            ErrorClass::Temporary => Some("run the same command again".to_owned()),
            ErrorClass::Storage => Some(STORAGE.to_owned()),
            ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Bug => None,
        },
        DeployError::Failed { class, .. } => of_remote(*class),
        DeployError::Program { program, .. } if program == "kustomize" => {
            Some("install kustomize 5, or kubectl 1.27 or newer, and put it on `PATH`".to_owned())
        }
        DeployError::Program { .. } => Some("install helm 3.13 or newer, or helm 4, and put it on `PATH`".to_owned()),
        DeployError::Cluster(error) => of_cluster(error),
        DeployError::PlanMoved { .. } => Some("nothing of it was changed; run the same command again".to_owned()),
        DeployError::HookMoved { .. } => Some(
            "nothing of it was changed; the object is there since the plan was made: give the hook another name, or delete the \
             object by hand where nothing needs it"
                .to_owned(),
        ),
        DeployError::UnreadableRelease { secret, .. } => Some(format!(
            "roll the release back with helm (`helm rollback`) to a revision that can be read, or remove the \
             Secret `{secret}`, which holds this one"
        )),
        DeployError::NotReady { .. } => Some(GOES_ON.to_owned()),
        DeployError::Superseded { .. } => {
            Some("the newer release need not wait any longer: `orchestrator run` deploys it".to_owned())
        }
        // helm names the Secret of the release that the API server does not take.
        DeployError::NotDeployed { reason, .. } if reason.contains("sh.helm.release.") && reason.contains("Too long") => {
            Some(CHART_SIZE.to_owned())
        }
        DeployError::NotDeployed { .. } | DeployError::Problems(_) | DeployError::Unusable { .. } => None,
        _ => None,
    }
}

/// What to do about a cluster that does not let the user do something.
pub(crate) fn of_missing_right(error: &DeployError, environment: &EnvironmentName) -> Option<String> {
    let DeployError::Cluster(error) = error else { return None };
    let is_right =
        matches!(error.kind(), cluster::ClusterErrorKind::Forbidden { .. }) && !error.is_refused_by_admission();
    is_right.then(|| {
        format!(
            "who administers the namespace gives the kubeconfig's user the Role that `orchestrator permissions {environment} \
             --role` prints"
        )
    })
}

/// What to do about the first cause that keeps a deployment from being ready.
pub(crate) fn of_dossier(error: &DeployError) -> Option<String> {
    let mut causes = error.dossier()?.failures.iter().flat_map(|failure| &failure.causes);
    // What was not written is not there: that is no cause.
    let is_unwritten = matches!(error, DeployError::NotDeployed { .. });
    let first = causes.find(|cause| !is_unwritten || cause.class != FailureClass::Deleted)?;
    Some(of_cause(first.class, &first.message).to_owned())
}

fn of_cause(class: FailureClass, message: &str) -> &'static str {
    let is_config = class == FailureClass::Config;
    if is_config && message.contains("`spec.paused`") {
        "take `spec.paused` out of the manifest, or `kubectl rollout resume` where another program set it"
    } else if is_config && message.contains("pull policy of Never") {
        "`imagePullPolicy: Never` takes what the node has: bring the image there, or take the policy out"
    } else if is_config && message.contains("couldn't parse image") {
        "correct the name of the image"
    } else if class == FailureClass::Condition && message.contains("`kubectl delete pod ") {
        "delete that pod by hand, as it says: its controller makes the next one of the new revision"
    } else if is_config && message.contains("forbidden: ") {
        "the rule of the cluster that refuses the pod says why: correct the pod, or let who administers the cluster change the rule"
    } else if class == FailureClass::Deleted && message.contains("`ttlSecondsAfterFinished`") {
        "give the Job more seconds in `ttlSecondsAfterFinished`, such as 600, so that its end is seen before it is deleted"
    } else {
        of_failure(class)
    }
}

fn of_failure(class: FailureClass) -> &'static str {
    match class {
        FailureClass::PullMissing => {
            "the registry shows this image here and not to the node: look at `imagePullSecrets` and their login"
        }
        FailureClass::PullTemporary => "the node did not get the image this time: run the same command again",
        FailureClass::Crash => "the log says why the program ends",
        FailureClass::OutOfMemory => "the container needs a higher `resources.limits.memory`, or less memory",
        FailureClass::Config => {
            "what the pod names has to be in the namespace and right: Secret, ConfigMap, key, command"
        }
        FailureClass::Scheduling => "compare requests, node selectors, affinities and tolerations with the nodes",
        FailureClass::Quota => "make room in the quota, or ask for less in `resources`",
        FailureClass::Probe => {
            "the container runs: compare path, port and delays of the probe with what it does, and see what it depends on"
        }
        FailureClass::Job | FailureClass::Hook => "the log of its pod says why",
        FailureClass::Evicted => "the node had no room for it: run the same command again once it has",
        FailureClass::Volume => "look at the claim, its storage class, and the events of both",
        FailureClass::Deleted => "something deletes what was deployed: find what does it",
        FailureClass::Condition => "its controller says in the conditions what it lacks",
    }
}

/// What to do where a deployment ended because of its lease; `None` while that is held.
pub(crate) fn of_lease(lease: &LeaseState, environment: &EnvironmentName) -> Option<String> {
    match lease {
        LeaseState::Held => None,
        LeaseState::YieldTo(_) => Some(format!(
            "the rollback decides what runs: `orchestrator status {environment}` shows its hold, and after `orchestrator unhold \
             {environment}` the same command goes on from here"
        )),
        LeaseState::Lost(loss) => Some(match loss {
            LeaseLoss::Taken => {
                format!("once no other run works on `{environment}`, the same command goes on from here")
            }
            LeaseLoss::Deleted | LeaseLoss::Edited => {
                let name = LeasePlace { namespace: String::new(), environment: environment.to_string() }.key().name;
                format!(
                    "only runs write the Lease `{name}`: find what else does (its `managedFields`, the audit log of the API \
                     server); the same command goes on from here"
                )
            }
            LeaseLoss::NotRenewed | LeaseLoss::Refused(_) | LeaseLoss::Ended => format!(
                "once the API server answers, and no other run works on `{environment}`, the same command goes on from here"
            ),
        }),
    }
}

/// What to do about a target of an environment: who lacks a right in a cluster is told which command prints them all.
pub(crate) fn of_target_of(error: &DeployError, environment: &EnvironmentName) -> Option<String> {
    of_missing_right(error, environment).or_else(|| of_target(error))
}

/// What to do about a cluster that gave no answer.
pub(crate) fn of_cluster(error: &cluster::ClusterError) -> Option<String> {
    let by_class = match error.class() {
        ErrorClass::Temporary => Some("run the same command again".to_owned()),
        ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Invalid | ErrorClass::Storage | ErrorClass::Bug => None,
    };
    error.hint().or(by_class)
}

/// What to do about an `insteadOf` that leads where submodules may not come from.
pub(crate) const REWRITTEN: &str = "take the `url.*.insteadOf` out of git's configuration; where it leads to a host by https or ssh, `submodules.allow` can \
     name that place, and no key allows `file:` or `ext:`";

/// What to do about a disk that is full, or a file that this user may not write.
pub(crate) const STORAGE: &str = "make room on the disk, or let this user write there; then run the same command again";

/// What to do about an error of the forge; why it refuses something it says itself.
pub(crate) fn of_forge(kind: ForgeErrorKind, class: ErrorClass) -> Option<&'static str> {
    match kind {
        ForgeErrorKind::Busy => Some("run the same command again"),
        ForgeErrorKind::UnknownVersion => Some("a newer orchestrator wrote this file: install that one"),
        ForgeErrorKind::File | ForgeErrorKind::Git if class == ErrorClass::Storage => Some(STORAGE),
        ForgeErrorKind::PullRequestNotFound => Some("`orchestrator forge pr list` has the numbers"),
        ForgeErrorKind::NotFound
        | ForgeErrorKind::Refused
        | ForgeErrorKind::State
        | ForgeErrorKind::Invalid
        | ForgeErrorKind::Damaged
        | ForgeErrorKind::File
        | ForgeErrorKind::Git => None,
        _ => None,
    }
}

/// A path as a shell reads it back.
pub(crate) fn shell_word(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,+%".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Says that the work tree's configuration is not the one of `HEAD`, which was read.
pub(crate) fn of_uncommitted_configuration(git: &git::Git, commit: &CommitId) -> Option<String> {
    let is_head = git.commit("HEAD").ok()??.id == *commit;
    (is_head && is_configuration_edited(git)).then(|| {
        format!(
            "the `{CONFIG_FILE}` of commit {} was read, and the one in the work tree differs: commit it for it to count",
            commit.short(12)
        )
    })
}

/// Says the same where the commit of another branch was read, or one was looked for.
pub(crate) fn of_edited_configuration(git: &git::Git) -> Option<String> {
    is_configuration_edited(git).then(|| {
        format!(
            "commits were read, and the `{CONFIG_FILE}` in the work tree differs from that of `HEAD`: commit it, and bring \
             it to the branch of the environment, for it to count"
        )
    })
}

fn is_configuration_edited(git: &git::Git) -> bool {
    let file = git.work_tree().and_then(|top| read_input(&top.join(CONFIG_FILE)).ok());
    let committed = Inputs::config(git, "HEAD").ok().flatten();
    file.zip(committed).is_some_and(|(file, committed)| file != committed)
}

/// What to do about a commit without a configuration, where this clone has one elsewhere.
pub(crate) fn of_configuration_elsewhere(git: &git::Git) -> Option<String> {
    let work_tree = git.work_tree()?;
    match Inputs::config(git, "HEAD") {
        Ok(Some(_)) => Some(format!(
            "`HEAD` has one, and it has not arrived there: push it, or bring `{CONFIG_FILE}` there with a pull request"
        )),
        Ok(None) | Err(_) => work_tree.join(CONFIG_FILE).is_file().then(|| {
            format!("it lies in the work tree, and commits are read: `git add {CONFIG_FILE}`, then `git commit`")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f8_a_lease_that_was_lost_or_asked_for_has_a_hint_of_its_own() {
        let shop = EnvironmentName::try_from("shop").expect("it is a name");
        let hint = |lease: LeaseState| of_lease(&lease, &shop);
        assert_eq!(hint(LeaseState::Held), None);
        for (loss, words) in [
            (LeaseLoss::NotRenewed, "once the API server answers"),
            (LeaseLoss::Taken, "once no other run works on `shop`"),
            (LeaseLoss::Deleted, "only runs write the Lease `orchestrator-shop`"),
            (LeaseLoss::Edited, "only runs write the Lease `orchestrator-shop`"),
        ] {
            let said = hint(LeaseState::Lost(loss)).unwrap();
            assert!(said.starts_with(words), "{said}");
        }
        assert!(hint(LeaseState::YieldTo("x".to_owned())).unwrap().contains("`orchestrator unhold shop`"));
    }

    #[test]
    fn a_cause_has_the_hint_that_fits_it() {
        for (class, message, words) in [
            (FailureClass::Config, "`spec.paused` is set, so that nothing is rolled out", "rollout resume"),
            (
                FailureClass::Config,
                "pods \"a\" is forbidden: maximum cpu usage per Container is 1",
                "the rule of the cluster",
            ),
            (FailureClass::Config, "secret \"a\" not found", "Secret, ConfigMap"),
            (FailureClass::Deleted, "is being deleted", "find what does it"),
            (FailureClass::Deleted, "is gone (`ttlSecondsAfterFinished`), and nothing says", "more seconds"),
        ] {
            let hint = of_cause(class, message);
            assert!(hint.contains(words), "{message}: {hint}");
        }
    }

    #[test]
    fn each_failure_of_a_target_has_the_hint_of_its_cause() {
        let subject = || "branch `deploy/shop`".to_owned();
        let failed =
            |class| DeployError::Failed { subject: subject(), action: "push".to_owned(), class, source: "x".into() };
        for (error, words) in [
            (DeployError::Moved { subject: subject(), expected: None, actual: None }, "another run wrote it"),
            (DeployError::Written { subject: subject() }, "the same command again"),
            (DeployError::Refused { subject: subject(), reason: "no".to_owned() }, "must be allowed to push"),
            (DeployError::Unusable { subject: subject(), reason: "no".to_owned() }, ""),
            (DeployError::Program { program: "helm".to_owned(), reason: "no".to_owned() }, "install helm"),
            (DeployError::Program { program: "kustomize".to_owned(), reason: "no".to_owned() }, "install kustomize 5"),
            (DeployError::PlanMoved { subject: subject(), difference: "x".to_owned(), dossier: None }, "the same command again"),
            (DeployError::HookMoved { subject: subject(), reason: "x".to_owned(), dossier: None }, "give the hook another name"),
            (
                DeployError::UnreadableRelease {
                    subject: subject(),
                    revision: 3,
                    secret: "sh.helm.release.v1.cart.v3".to_owned(),
                    reason: "no".to_owned(),
                },
                "remove the Secret `sh.helm.release.v1.cart.v3`",
            ),
            (DeployError::NotDeployed { subject: subject(), reason: "no".to_owned(), dossier: None }, ""),
            (
                DeployError::NotDeployed {
                    subject: subject(),
                    reason: "helm does not install it: Secret \"sh.helm.release.v1.cart.v2\" is invalid: data: Too long: may not be \
                             more than 1048576 bytes"
                        .to_owned(),
                    dossier: None,
                },
                "`.helmignore`",
            ),
            (
                DeployError::NotReady { subject: subject(), reason: "no".to_owned(), dossier: Box::default() },
                "in a change of its own",
            ),
            (failed(ErrorClass::Denied), "git ls-remote URL"),
            (failed(ErrorClass::Temporary), "the same command again"),
            (failed(ErrorClass::Storage), "make room"),
            (failed(ErrorClass::Invalid), ""),
        ] {
            let hint = of_target(&error).unwrap_or_default();
            assert_eq!(hint.is_empty(), words.is_empty(), "{error}: {hint}");
            assert!(hint.contains(words), "{error}: {hint}");
        }
    }

    #[test]
    fn each_error_of_git_has_the_hint_of_its_cause() {
        use ErrorClass::{Bug, Denied, Invalid, NotFound, Storage, Temporary};
        for (kind, class, words) in [
            (GitErrorKind::NotARepository, NotFound, "--repository DIR"),
            (GitErrorKind::ForeignOwner, Denied, "safe.directory '/srv/my shop'"),
            (GitErrorKind::TooOld, Invalid, "git 2.38"),
            (GitErrorKind::NotFound, NotFound, ""),
            (GitErrorKind::Remote, Denied, "git ls-remote URL"),
            (GitErrorKind::Remote, Temporary, "the same command again"),
            (GitErrorKind::Remote, NotFound, ""),
            (GitErrorKind::Remote, Invalid, ""),
            (GitErrorKind::Rewritten, Invalid, "insteadOf"),
            (GitErrorKind::Operand, Invalid, ""),
            (GitErrorKind::UnexpectedOutput, Bug, ""),
            (GitErrorKind::Io, Storage, "make room"),
            (GitErrorKind::Io, Invalid, ""),
            (GitErrorKind::Process, Storage, "make room"),
            (GitErrorKind::Process, Invalid, ""),
        ] {
            let hint = of_git_kind(kind, class, None, "/srv/my shop").unwrap_or_default();
            assert_eq!(hint.is_empty(), words.is_empty(), "{kind:?} {class:?}: {hint}");
            assert!(hint.contains(words), "{kind:?} {class:?}: {hint}");
        }
        for (fault, words) in [
            (RemoteFault::Untrusted, "`http.sslCAInfo`"),
            (RemoteFault::Certificate, "must replace its certificate"),
            (RemoteFault::AuthorityFile, "must name a file"),
            (RemoteFault::UnknownRepository, "may not see"),
            (RemoteFault::UnknownHost, "correct the host in `.gitmodules`"),
        ] {
            let hint = of_git_kind(GitErrorKind::Remote, Denied, Some(fault), "x").unwrap_or_default();
            assert!(hint.contains(words), "{fault:?}: {hint}");
        }
        for (kind, class, words) in [
            (ForgeErrorKind::Busy, Temporary, "the same command again"),
            (ForgeErrorKind::UnknownVersion, Invalid, "newer orchestrator"),
            (ForgeErrorKind::File, Storage, "make room"),
            (ForgeErrorKind::Git, Storage, "make room"),
            (ForgeErrorKind::File, Temporary, ""),
            (ForgeErrorKind::Git, Invalid, ""),
            (ForgeErrorKind::NotFound, NotFound, ""),
            (ForgeErrorKind::PullRequestNotFound, NotFound, "forge pr list"),
            (ForgeErrorKind::Refused, Denied, ""),
            (ForgeErrorKind::State, Invalid, ""),
            (ForgeErrorKind::Invalid, Invalid, ""),
            (ForgeErrorKind::Damaged, Invalid, ""),
        ] {
            let hint = of_forge(kind, class).unwrap_or_default();
            assert_eq!(hint.is_empty(), words.is_empty(), "{kind:?} {class:?}: {hint}");
            assert!(hint.contains(words), "{kind:?} {class:?}: {hint}");
        }
        assert_eq!(shell_word("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(shell_word("/a/it's"), r"'/a/it'\''s'");
    }
}
