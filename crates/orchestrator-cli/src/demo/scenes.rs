//! The story, scene by scene.

use std::path::Path;

use super::shop::{Built, gitlink, write};
use super::stage::{Show, Stage};
use super::{files, tamper};
use orchestrator::{Error, ErrorKind, Result};

/// Plays every scene.
pub(super) fn play(stage: &mut Stage) -> Result<()> {
    before(stage)?;
    lock_and_comment(stage)?;
    missing_image(stage)?;
    edited_lock(stage)?;
    direct_push(stage)?;
    unhealthy(stage)?;
    failing_suite(stage)?;
    promotion(stage)?;
    three_approvals(stage)?;
    second_train(stage)?;
    let approved = fourth_approval(stage)?;
    bypass(stage)?;
    release(stage, &approved)?;
    rollback(stage, &approved)
}

fn before(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "Before the story: a forge, and the shop's first release",
        "The same commands as below, here with their first lines only; the first train brings its own rules, and says so.",
    );
    stage.orchestrator_in_root(
        "-C shop.git forge init --user ana:write --user ben:write --user chloe:write --user dan:write --user dana:write --user eve:admin \
         --protect staging=orchestrator/lock,orchestrator/suites --protect main=orchestrator/staging-proof,orchestrator/approvals",
        0,
        Show::First,
    )?;
    open_and_lock(stage, 1, "Six services", Show::First)?;
    merge_to_staging(stage, 1, Show::First)?;
    stage.job("run staging", 0, Show::First)?;
    for reviewer in ["ana", "ben", "chloe", "dan"] {
        approve(stage, reviewer, 2, Show::First)?;
    }
    stage.job("approvals --pr 2", 0, Show::First)?;
    stage.orchestrator("--as ana forge pr merge 2", 0, Show::First)?;
    stage.job("run production", 0, Show::First)?;
    Ok(())
}

fn lock_and_comment(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "A pull request gets its lock",
        "The lock is made from what the merge would give; commit, tag and digest of every service are fixed and published.",
    );
    let cart = stage.shop.new_version("shop-cart", 2, Built::Yes)?;
    stage.shop.commit_to_dev(&[gitlink("shop-cart", &cart)], "cart: version 2")?;
    stage.note("cart's CI built an image; dana pushed the new gitlink to dev");
    open_and_lock(stage, 3, "Cart 2", Show::All)?;
    stage.orchestrator("forge pr view 3", 0, Show::All)?;
    Ok(())
}

fn missing_image(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "An image that is not there",
        "A tag is never guessed: the registry is asked, and what was tried is listed (exit 12).",
    );
    let payments = stage.shop.new_version("shop-payments", 2, Built::No)?;
    stage.shop.commit_to_dev(&[gitlink("shop-payments", &payments)], "payments: version 2")?;
    stage.note("dana pushed payments 2 before its CI had built the image");
    stage.job("lock publish --pr 3", 12, Show::All)?;
    stage.shop.build_image("shop-payments", &payments)?;
    stage.note("payments' CI has built the image: the same command again");
    stage.job("lock publish --pr 3", 0, Show::All)?;
    Ok(())
}

fn edited_lock(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "A lock that was edited by hand",
        "A changed digest breaks the lock's id (exit 10); with the id made right again, it is not the file that the ledger knows (exit 1).",
    );
    tamper::write(&stage.shop, &stage.root().join("tampered"))?;
    stage.orchestrator("lock check ../tampered/digest.yaml --rev staging", 10, Show::All)?;
    stage.orchestrator("lock check ../tampered/recomputed.yaml --rev staging", 1, Show::All)?;
    Ok(())
}

fn direct_push(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "A push past the pull request",
        "Staging is protected: git's own update hook asks orchestrator, and refuses.",
    );
    let (shortcut, _) =
        stage.shop.commit_on("staging", &[write("README.md", "in a hurry\n")], "past the pull request")?;
    stage.git(&format!("push --quiet origin {shortcut}:refs/heads/staging"), "dana", 1)?;
    Ok(())
}

fn unhealthy(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "Merged, but staging is not healthy",
        "The lock is committed, then staging is asked how it is: nothing is deployed to a sick environment (exit 1).",
    );
    merge_to_staging(stage, 3, Show::All)?;
    stage.outage("staging-platform", true)?;
    stage.note("staging's platform is down: file outages/staging-platform");
    stage.job("run staging", 1, Show::All)?;
    Ok(())
}

fn failing_suite(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "Deployed and proven to be stored, but the suite fails",
        "No proof, no promotion: the commit's status fails and no pull request to main is opened (exit 1).",
    );
    stage.outage("staging-platform", false)?;
    stage.outage("staging-checkout", true)?;
    stage.note("the platform is back; the payment provider's sandbox is down");
    stage.job("run staging", 1, Show::All)?;
    stage.orchestrator("forge pr list", 0, Show::All)?;
    Ok(())
}

fn promotion(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "The same command again",
        "The ledger knows what is done: only the suite runs again, then the proof is recorded and the promotion opened.",
    );
    stage.outage("staging-checkout", false)?;
    stage.note("the sandbox is back");
    stage.job("run staging", 0, Show::All)?;
    stage.job("run staging", 0, Show::All)?;
    Ok(())
}

fn three_approvals(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "Three of four approvals",
        "Production asks for four people. Each names the head that they looked at; a merge with three approvals is refused (exit 20).",
    );
    stage.orchestrator("--as ana forge pr review 4 --approve", 2, Show::All)?;
    stage.orchestrator("--as ana forge pr view 4", 0, Show::All)?;
    for reviewer in ["ana", "ben", "chloe"] {
        approve(stage, reviewer, 4, Show::All)?;
    }
    stage.job("approvals --pr 4", 1, Show::All)?;
    stage.orchestrator("--as ana forge pr merge 4", 20, Show::All)?;
    Ok(())
}

fn second_train(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "A small second train moves staging",
        "Approvals are for content: staging moved, ana and ben looked again, dan is new, and chloe's approval is stale.",
    );
    let web = stage.shop.new_version("shop-web", 2, Built::Yes)?;
    stage.shop.commit_to_dev(&[gitlink("shop-web", &web)], "web: version 2")?;
    open_and_lock(stage, 5, "Web 2", Show::First)?;
    merge_to_staging(stage, 5, Show::First)?;
    stage.job("run staging", 0, Show::All)?;
    for reviewer in ["ana", "ben", "dan"] {
        approve(stage, reviewer, 4, Show::First)?;
    }
    stage.job("approvals --pr 4", 1, Show::All)?;
    Ok(())
}

fn fourth_approval(stage: &mut Stage) -> Result<String> {
    stage.scene(
        "The fourth approval",
        "Four people approved exactly this content: the merge commit carries the same tree.",
    );
    approve(stage, "chloe", 4, Show::All)?;
    stage.job("approvals --pr 4", 0, Show::All)?;
    stage.orchestrator("--as ana forge pr merge 4", 0, Show::All)?;
    let merged = stage.shop.superproject()?.rev_parse("refs/heads/main").ok().flatten();
    merged.ok_or_else(|| Error::new(ErrorKind::Bug, "main has no commit"))
}

fn bypass(stage: &mut Stage) -> Result<()> {
    stage.scene(
        "A merge past the rules",
        "An administrator can press the button; production asks every question again and refuses (exit 20).",
    );
    let hurried = files::SMOKE.lines().take(5).collect::<Vec<_>>().join("\n") + "\n";
    let (hotfix, _) =
        stage.shop.commit_on("main", &[write("tests/smoke.yaml", &hurried)], "hotfix: fewer smoke tests")?;
    stage.shop.push("hotfix", &hotfix, None)?;
    stage.note("eve pushed a branch `hotfix` that drops a smoke test");
    stage.orchestrator("--as eve forge pr create --head hotfix --base main --title Hotfix", 0, Show::All)?;
    stage.orchestrator("--as eve forge pr merge 6 --admin", 0, Show::All)?;
    stage.job("run production", 20, Show::All)?;
    Ok(())
}

fn release(stage: &mut Stage, approved: &str) -> Result<()> {
    stage.scene(
        "The release",
        "The job of the approved merge: the same lock as in staging is deployed, proven, tested, tagged and archived; again is a no-op.",
    );
    let short: String = approved.chars().take(12).collect();
    stage.orchestrator(&format!("plan production --rev {short}"), 0, Show::All)?;
    stage.job(&format!("run production --rev {short}"), 0, Show::All)?;
    stage.job(&format!("run production --rev {short}"), 0, Show::All)?;
    Ok(())
}

fn rollback(stage: &mut Stage, approved: &str) -> Result<()> {
    stage.scene(
        "A rollback, and the hold that stays",
        "The release before is deployed from its own commit through the same steps; nothing newer goes on until somebody lifts the hold.",
    );
    let short: String = approved.chars().take(12).collect();
    stage.job("rollback production --reason \"customers cannot pay\"", 0, Show::All)?;
    stage.job(&format!("run production --rev {short}"), 20, Show::All)?;
    stage.orchestrator("status", 0, Show::All)?;
    stage.orchestrator("history production", 0, Show::All)?;
    Ok(())
}

fn open_and_lock(stage: &mut Stage, number: u64, title: &str, show: Show) -> Result<()> {
    let open = format!("--as dana forge pr create --head dev --base staging --title \"{title}\"");
    stage.orchestrator(&open, 0, show)?;
    stage.job(&format!("lock publish --pr {number}"), 0, show)?;
    Ok(())
}

fn merge_to_staging(stage: &mut Stage, number: u64, show: Show) -> Result<()> {
    stage.job(&format!("test run pull-request --pr {number}"), 0, show)?;
    stage.orchestrator(&format!("--as dana forge pr merge {number}"), 0, show)?;
    Ok(())
}

/// A person approves the present head of a promotion.
fn approve(stage: &mut Stage, reviewer: &str, number: u64, show: Show) -> Result<()> {
    let head = stage.shop.superproject()?.rev_parse("refs/heads/staging").ok().flatten();
    let head = head.ok_or_else(|| Error::new(ErrorKind::Bug, "staging has no commit"))?;
    let short: String = head.chars().take(12).collect();
    let line = format!("--as {reviewer} forge pr review {number} --approve --expected-head {short}");
    stage.orchestrator(&line, 0, show)?;
    Ok(())
}

/// What lies where, and what to try.
pub(super) fn map(root: &Path, binary: &Path) -> String {
    let shown = root.display();
    let programs = binary.parent().unwrap_or(binary).display();
    format!(
        "
━━ The shop stays in {shown}

  shop/            the clone that the commands ran in
  shop.git         the forge's superproject; branches dev, staging, main, deploy/*, orchestrator/ledger
  shop-*.git       the six services
  forge/           pull requests, reviews, statuses, releases, rules: JSON files
  registry/        the images: an OCI layout folder
  tampered/        the two locks that were edited by hand
  outages/         a file here is an outage (the server has ended with the demo)

Try, by copy:

  cd {shown}/shop
  export PATH=\"{programs}:$PATH\"
  orchestrator status
  orchestrator history
  orchestrator lock show staging
  orchestrator lock diff main staging
  orchestrator verify production
  orchestrator config show production --origin
  orchestrator forge pr view 4
  orchestrator --as eve unhold production --reason \"the payment provider is back\"
  git -C ../shop.git log --oneline orchestrator/ledger
  git -C ../shop.git show deploy/production:services/shop-cart/app.yaml
"
    )
}
