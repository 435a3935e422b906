//! The story on a cluster, scene by scene.

use lock_model::CommitId;

use super::super::shop::{Built, gitlink};
use super::super::stage::{Show, Stage};
use super::images::{SERVICES, Version};
use orchestrator::Result;

/// Pushes a version of a service, which was built from a commit.
pub(super) type Push<'a> = dyn FnMut(&str, Version, &CommitId) -> Result<()> + 'a;

/// Plays every scene; `commits` are those of version 1.
pub(super) fn play(stage: &mut Stage, push: &mut Push<'_>, commits: &[CommitId]) -> Result<()> {
    stage.scene(
        "From an empty namespace to a proven deployment",
        "The lock pins commit, tag and digest; what is deployed are its digests, and what runs is compared with it.",
    );
    for (service, commit) in SERVICES.iter().zip(commits) {
        push(service, Version::Works, commit)?;
        stage.note(&format!("the CI of demo-{service} has pushed version 1"));
    }
    stage.orchestrator_in_root(
        "-C shop.git forge init --user dana:write --user eve:admin --protect staging=orchestrator/lock,orchestrator/suites",
        0,
        Show::First,
    )?;
    merge(stage, 1, "Two services")?;
    stage.job("health staging", 0, Show::All)?;
    stage.job("run staging", 0, Show::All)?;
    stage.job("verify staging", 0, Show::All)?;

    stage.scene("The same again", "Nothing is to be done, and nothing is: the cluster is read, not written.");
    stage.job("run staging", 0, Show::All)?;

    stage.scene(
        "A version that does not start",
        "It fails at once and not at a deadline, with its cause: class, events, log (exit 21). The old version goes on.",
    );
    change(stage, push, "web", 2, Version::EndsAtOnce)?;
    merge(stage, 2, "Web 2")?;
    stage.job("run staging", 21, Show::All)?;

    stage.scene(
        "Back",
        "A rollback is a deployment of the release before, by the same steps and proofs; a hold keeps others away.",
    );
    stage.job("rollback staging --reason \"web 2 does not start\"", 0, Show::All)?;
    stage.job("verify staging", 0, Show::All)?;

    stage.scene("And on", "The next version is deployed as ever, once the hold is lifted.");
    change(stage, push, "web", 3, Version::Works)?;
    merge(stage, 3, "Web 3")?;
    stage.job("run staging --lift-hold --reason \"web 3 starts\"", 0, Show::All)?;
    stage.job("status", 0, Show::All)?;
    Ok(())
}

/// A new version of a service on `dev`, with its image.
fn change(stage: &mut Stage, push: &mut Push<'_>, service: &str, version: u32, what: Version) -> Result<()> {
    let name = format!("demo-{service}");
    let commit = stage.shop.new_version(&name, version, Built::No)?;
    push(service, what, &commit)?;
    stage.shop.commit_to_dev(&[gitlink(&name, &commit)], &format!("{service}: version {version}"))?;
    stage.note(&format!("the CI of {name} has pushed version {version}, and dana has pushed its gitlink to dev"));
    Ok(())
}

/// A pull request from `dev` to `staging`: locked, tested, merged.
fn merge(stage: &mut Stage, number: u32, title: &str) -> Result<()> {
    let open = format!("--as dana forge pr create --head dev --base staging --title \"{title}\"");
    stage.orchestrator(&open, 0, Show::First)?;
    stage.job(&format!("lock publish --pr {number}"), 0, Show::First)?;
    stage.job(&format!("test run pull-request --pr {number}"), 0, Show::First)?;
    stage.orchestrator(&format!("--as dana forge pr merge {number}"), 0, Show::First)?;
    Ok(())
}
