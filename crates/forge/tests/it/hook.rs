use forge::local::{Clock, LocalForge};
use forge::simulator::{HookProgram, PushVerdict};
use forge::{ForgeErrorKind, LEDGER_BRANCH, NewRelease, ReleaseOutcome, WriteOutcome};

use git::{Git, GitOptions, LocalProtocol, PushOutcome};
use process::{EnvVars, Program};

use crate::shop::{ACTOR_VARIABLE, Shop, append, at, search_path};

#[test]
fn a_direct_push_to_a_protected_branch_is_refused_and_says_why() {
    let shop = Shop::new();
    shop.install_hook();
    let before = shop.rev("refs/heads/staging");
    shop.work.write("x.txt", "x\n");
    shop.work.commit("Straight to staging");

    let answer = shop.push_as("ana", &["HEAD:refs/heads/staging"]);
    assert!(!answer.success());
    let said = "`staging` is protected: changes come through a pull request, and `ana` is not on its bypass list";
    assert!(answer.stderr.contains(said), "{answer:?}");
    assert_eq!(shop.rev("refs/heads/staging"), before);

    let answer = shop.push_as("ana", &["HEAD:refs/heads/dev"]);
    assert!(answer.success(), "{answer:?}");
    let answer = shop.push_as("root", &["HEAD:refs/heads/staging"]);
    assert!(!answer.success(), "an admin merges with a bypass, and does not push");
}

#[test]
fn t70_no_configuration_of_the_pusher_switches_the_hook_off() {
    let shop = Shop::new();
    let elsewhere = "[core]\n\thooksPath = /nonexistent\n";
    shop.bare.git(&["config", "core.hooksPath", "/nonexistent"]);
    shop.bare.git(&["config", "--add", "core.hooksPath", ".git/hooks"]);
    shop.install_hook();
    shop.work.write("x.txt", "x\n");
    shop.work.commit("Straight to staging");
    let file = |name: &str, text: &str| {
        let path = shop.root().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let global = file("global", elsewhere);
    let including = file("including", &format!("[include]\n\tpath = {global}\n"));
    let only_there = file("only-there", &format!("[includeIf \"gitdir:**/shop.git\"]\n\tpath = {global}\n"));
    let other_hook = file("other-hook", "[receive]\n\tprocReceiveRefs = refs/heads\n");
    let count = ("GIT_CONFIG_COUNT", "1");
    let key = ("GIT_CONFIG_KEY_0", "core.hooksPath");
    let before = shop.rev("refs/heads/staging");
    let rewritten = shop.work.git(&["commit-tree", "-m", "No history", "HEAD^{tree}"]);
    let rewritten = format!("+{rewritten}:refs/heads/staging");
    for environment in [
        &[("GIT_CONFIG_GLOBAL", global.as_str())][..],
        &[("GIT_CONFIG_GLOBAL", &including)],
        &[("GIT_CONFIG_GLOBAL", &only_there)],
        &[("GIT_CONFIG_GLOBAL", &other_hook)],
        &[("GIT_CONFIG_NOSYSTEM", "0"), ("GIT_CONFIG_SYSTEM", &global)],
        &[count, key, ("GIT_CONFIG_VALUE_0", "/nonexistent")],
        &[("GIT_CONFIG_PARAMETERS", "'core.hooksPath'='/nonexistent'")],
        &[],
    ] {
        for target in ["HEAD:refs/heads/staging", &rewritten, ":refs/heads/staging"] {
            let environment = [environment, &[(ACTOR_VARIABLE, "ana")]].concat();
            let option = ["-c", "core.hooksPath=/nonexistent", "push", "--no-verify", "--quiet", "origin", target];
            let answer = shop.work.try_git_with(&option, &environment);
            assert!(!answer.success(), "{environment:?} {answer:?}");
            assert_eq!(shop.rev("refs/heads/staging"), before, "{environment:?}");
        }
    }
    assert_eq!(shop.bare.git(&["config", "--local", "--get-all", "core.hooksPath"]), "hooks");
    let copy = shop.copy();
    std::fs::write(copy.bare.path().join("hooks/update"), "#!/bin/sh\necho this hook is of the copy >&2\nexit 1\n")
        .unwrap();
    let answer = copy.push_as("ana", &["HEAD:refs/heads/dev"]);
    assert!(answer.stderr.contains("this hook is of the copy"), "{answer:?}");
}

#[test]
fn our_own_pushes_are_judged_like_everybodys() {
    let shop = Shop::new();
    shop.install_hook();
    shop.work.write("x.txt", "x\n");
    let commit = shop.work.commit("A change");
    let push = |actor: &str, reference: &str| {
        let environment = EnvVars::new().set("PATH", search_path()).set(ACTOR_VARIABLE, actor);
        let options = GitOptions { environment, local_protocol: LocalProtocol::Allowed, ..GitOptions::default() };
        let git = Git::open(&Program::find("git", &search_path()).unwrap(), shop.work.path(), options).unwrap();
        git.push("origin", &commit, reference, None).unwrap()
    };
    let outcome = push("ana", "refs/heads/staging");
    let PushOutcome::Refused { message } = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        message,
        "refused:\n- `staging` is protected: changes come through a pull request, and `ana` is not on its bypass list"
    );
    assert_eq!(push("robot", "refs/heads/staging"), PushOutcome::Done);
    assert_eq!(push("ana", "refs/heads/dev"), PushOutcome::Done);
}

#[test]
fn who_does_not_say_who_they_are_or_may_not_write_cannot_push() {
    let shop = Shop::new();
    shop.install_hook();
    shop.work.write("x.txt", "x\n");
    shop.work.commit("A change");
    let answer = shop.work.try_git(&["push", "--quiet", "origin", "HEAD:refs/heads/dev"]);
    assert!(!answer.success() && answer.stderr.contains("no acting user is named"), "{answer:?}");
    for (actor, said) in [
        ("rita", "`rita` has the role read, and this needs write"),
        ("mallory", "`mallory` is not a user of this forge"),
        ("-x", "is not a valid user name"),
    ] {
        let answer = shop.push_as(actor, &["HEAD:refs/heads/dev"]);
        assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");
    }
}

#[test]
fn a_push_past_the_rules_is_recorded() {
    let shop = Shop::new();
    shop.install_hook();
    let before = shop.rev("refs/heads/staging");
    shop.work.write("lock.yaml", "x\n");
    let commit = shop.work.commit("The lock");
    let answer = shop.push_as("robot", &["HEAD:refs/heads/staging"]);
    assert!(answer.success() && answer.stderr.contains("allowed by the bypass list, and recorded"), "{answer:?}");
    let records = shop.forge("ana").simulator().bypasses().unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].by.as_str(), records[0].after.as_str()), ("robot", commit.as_str()));
    assert_eq!((records[0].before.as_ref(), records[0].pull_request), (Some(&before), None));
}

#[test]
fn t10_nobody_rewrites_or_deletes_protected_branches_or_the_ledger() {
    let shop = Shop::new();
    shop.install_hook();
    let robot = shop.forge("robot");
    append(&robot, "robot", "first");
    append(&robot, "robot", "second");
    for actor in ["ana", "robot", "root"] {
        for (target, what) in [(LEDGER_BRANCH, "the ledger"), ("staging", "a protected branch")] {
            let before = shop.rev(&format!("refs/heads/{target}"));
            if target == LEDGER_BRANCH {
                let answer = shop.push_as(actor, &["--force", &format!("HEAD:refs/heads/{target}")]);
                let said = format!("`{target}` is {what}: its history is not rewritten");
                assert!(!answer.success() && answer.stderr.contains(&said), "{answer:?}");
            }
            let answer = shop.push_as(actor, &["--delete", &format!("refs/heads/{target}")]);
            let said = format!("`{target}` is {what}: it is not deleted");
            assert!(!answer.success() && answer.stderr.contains(&said), "{answer:?}");
            assert_eq!(shop.rev(&format!("refs/heads/{target}")), before);
        }
    }
    shop.work.git(&["switch", "--quiet", "--orphan", "other"]);
    shop.work.commit("No history");
    let answer = shop.push_as("robot", &["--force", "HEAD:refs/heads/staging"]);
    let said = "`staging` is a protected branch: its history is not rewritten";
    assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");
    assert!(shop.push_as("ana", &["--force", "HEAD:refs/heads/dev"]).success(), "other branches are their owners'");
}

#[test]
fn t61_no_ref_hides_another_from_git() {
    let shop = Shop::new();
    // One that was there before the hook was.
    let old = "refs/heads/refs/heads/staging";
    assert!(shop.push_as("ana", &[&format!("HEAD:{old}")]).success());
    shop.install_hook();
    for actor in ["ana", "root", "robot"] {
        for name in ["refs/heads/refs/heads/dev", "refs/tags/refs/heads/dev", "refs/heads/HEAD", "refs/tags/HEAD"] {
            let answer = shop.push_as(actor, &[&format!("HEAD:{name}")]);
            let said = format!("git takes `{name}` for another ref as well");
            assert!(!answer.success() && answer.stderr.contains(&said), "{answer:?}");
        }
    }
    assert!(shop.push_as("ana", &["HEAD:refs/heads/heads/dev"]).success(), "that is a branch like others");
    assert!(shop.push_as("ana", &["--force", "HEAD:refs/heads/dev"]).success());
    assert!(shop.push_as("ana", &["--delete", old]).success(), "what is there already can be taken away");
}

#[test]
fn t67_a_forge_holds_branches_tags_and_notes() {
    let shop = Shop::new();
    let head = shop.work.head();
    let replaced = format!("refs/replace/{head}");
    // One that was there before the hook was.
    assert!(shop.push_as("ana", &["HEAD:refs/refs/heads/staging"]).success());
    shop.install_hook();
    for actor in ["ana", "root", "robot"] {
        for name in [
            replaced.as_str(),
            "refs/refs/heads/dev",
            "refs/remotes/refs/heads/dev",
            "refs/remotes/origin/main",
            "refs/orchestrator/heads/main",
            "refs/original/refs/heads/dev",
            "refs/stash/x",
        ] {
            let answer = shop.push_as(actor, &[&format!("HEAD:{name}")]);
            let said = format!("`{name}` is no branch, tag or note");
            assert!(!answer.success() && answer.stderr.contains(&said), "{answer:?}");
        }
        for kind in ["heads", "tags"] {
            let answer = shop.push_as(actor, &[&format!("HEAD:refs/{kind}/{head}")]);
            assert!(!answer.success() && answer.stderr.contains("is called like a commit"), "{answer:?}");
        }
    }
    assert!(shop.push_as("ana", &["HEAD:refs/notes/review"]).success());
    assert!(shop.push_as("ana", &["HEAD:refs/tags/20260105"]).success(), "a day is no commit");
    assert!(shop.push_as("ana", &["--delete", "refs/refs/heads/staging"]).success(), "it can be taken away");
    shop.work.write("x.txt", "x\n");
    shop.work.commit("A change");
    assert!(shop.push_as("ana", &["HEAD:refs/heads/dev"]).success());
}

#[test]
fn the_forges_own_refs_are_nobodys() {
    let shop = Shop::new();
    let pull = shop.pull();
    shop.install_hook();
    let answer = shop.push_as("root", &["--force", "HEAD~1:refs/pull/1/head"]);
    let said = "`refs/pull/1/head` is made by the forge alone";
    assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");

    let new = NewRelease::new("release-1".try_into().unwrap(), pull.base, "First");
    shop.at(3);
    let made = shop.forge("robot").create_release(&new).unwrap();
    assert!(matches!(made, ReleaseOutcome::Created(_)));
    for arguments in [&["--force", "HEAD:refs/tags/release-1"][..], &["--delete", "refs/tags/release-1"]] {
        let answer = shop.push_as("root", arguments);
        let said = "tag `release-1` belongs to a release: it is neither moved nor deleted";
        assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");
    }
    assert!(shop.push_as("ana", &["HEAD:refs/tags/mine"]).success());
    assert!(shop.push_as("ana", &["--delete", "refs/tags/mine"]).success());
}

#[test]
fn t29_a_hostile_branch_name_stays_a_name() {
    let shop = Shop::new();
    shop.install_hook();
    shop.work.commit("A change");
    let name = "zzz\";touch${IFS}canary;#";
    let answer = shop.push_as("ana", &[&format!("HEAD:refs/heads/{name}")]);
    assert!(answer.success(), "{answer:?}");
    let branches = shop.forge("ana").branches().unwrap();
    assert!(branches.keys().any(|branch| branch.as_str() == name), "{branches:?}");
    assert!(!shop.bare.path().join("canary").exists());
    let answer = shop.push_as("ana", &["HEAD:refs/heads/-x"]);
    assert!(!answer.success(), "a name that would be an option somewhere");
}

#[test]
fn without_its_program_the_hook_refuses_everything() {
    let shop = Shop::new();
    let gone = HookProgram::new(shop.root().join("gone"), [""; 0]);
    let root = shop.forge("root");
    assert_eq!(root.simulator().install_hook(&gone).unwrap(), WriteOutcome::Created);
    assert_eq!(root.simulator().install_hook(&gone).unwrap(), WriteOutcome::Unchanged);
    shop.work.commit("A change");
    assert!(!shop.push_as("ana", &["HEAD:refs/heads/dev"]).success());
    let relative = HookProgram::new("orchestrator", [""; 0]);
    assert_eq!(root.simulator().install_hook(&relative).unwrap_err().kind(), ForgeErrorKind::Invalid);
}

#[test]
fn a_missing_rules_file_is_not_no_rules() {
    let shop = Shop::new();
    std::fs::remove_file(shop.file("branches.json")).unwrap();
    let (old, new) = (shop.rev("refs/heads/dev"), shop.rev("refs/heads/main"));
    shop.at(1);
    let judged = shop.forge("ana").simulator().judge_update("refs/heads/staging", old.as_str(), new.as_str());
    assert_eq!(judged.unwrap_err().to_string(), "the forge's `branches.json` does not exist");
    let without_user = LocalForge::open(shop.root(), shop.git(), None, Clock::fixed(at(1))).unwrap();
    let verdict = without_user.simulator().judge_update("refs/heads/dev", old.as_str(), new.as_str()).unwrap();
    assert_eq!(verdict, PushVerdict::Refused { reasons: vec!["no acting user is named".to_owned()] });
}
