//! Names that users type: what a shell offers, what a wrong one is answered with, and where a fault is.

use std::fs;

use crate::shop::CONFIGURATION;
use crate::stops::locked;

#[test]
fn a_shell_is_offered_environments_suites_services_options_and_files() {
    let shop = locked();
    let offered = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let call = shop.orchestrator("-- orchestrator").args(words).env("ORCHESTRATOR_COMPLETE", "fish");
        let shown = call.run().expect_code(0);
        let names = shown.stdout().lines().map(|line| line.split('\t').next().unwrap().to_owned());
        names.collect::<Vec<String>>()
    };
    let environments = ["production", "pull-request", "staging"];
    for line in ["run ", "plan ", "rollback ", "lock commit ", "history ", "config show ", "policy take-over "] {
        let names = offered(line);
        assert!(environments.iter().all(|name| names.iter().any(|one| one == name)), "{line}: {names:?}");
    }
    assert_eq!(offered("run stag"), ["staging"]);
    assert_eq!(offered("images explain shop-c"), ["shop-cart"]);
    assert_eq!(offered("test run staging --suite sy"), ["system"]);
    assert_eq!(offered("images explain c"), ["cart"]);
    for line in ["lock check orch", "lock show orch", "lock diff orch", "lock diff HEAD orch", "lock reject orch"] {
        assert_eq!(offered(line), ["orchestrator.yaml"], "{line}");
    }
    assert_eq!(offered("run staging --wa"), ["--wait"]);
    // What the clone and its forge know.
    let has = |line: &str, name: &str| {
        let names = offered(line);
        assert!(names.iter().any(|one| one == name), "{line}: {name} is not among {names:?}");
    };
    let number = shop.open().to_string();
    for line in ["plan staging --rev ", "images explain web --rev ", "config check --rev ", "lock generate --rev "] {
        has(line, "staging");
    }
    for line in ["plan staging --pr ", "lock publish --pr ", "approvals --pr ", "forge pr view ", "forge pr merge "] {
        has(line, &number);
    }
    for line in ["--as ", "run staging --as "] {
        has(line, "eve");
    }
    // Without a configuration there are no names, and no error.
    fs::remove_file(shop.join("shop/orchestrator.yaml")).unwrap();
    assert!(!offered("run ").iter().any(|name| name == "staging"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shop.ok(&format!("completion {shell}"));
        assert!(script.stdout().contains("ORCHESTRATOR_COMPLETE"), "{shell}: {script}");
    }
}

#[test]
fn a_wrong_name_gets_the_nearest_one_and_a_short_name_is_enough() {
    let shop = locked();
    for (line, hint) in [
        ("config show stagign", "did you mean `staging`?"),
        ("images explain shop-crat --rev dev", "did you mean `shop-cart`?"),
        ("images explain crt --rev dev", "did you mean `cart`?"),
        ("config show stag", "did you mean `staging`?"),
        ("test run pull-request --pr 1 --suite lnit", "did you mean `lint`?"),
        ("statsu", "'status'"),
    ] {
        let refused = shop.ends(line, 2);
        assert!(refused.stderr().contains(hint), "{refused}");
    }
    let short = shop.json("images explain cart --rev dev", 0);
    assert_eq!(short, shop.json("images explain shop-cart --rev dev", 0));
    assert_eq!(short["service"], "shop-cart");
}

#[test]
fn a_revision_that_is_none_is_answered_with_what_there_is() {
    let shop = locked();
    for line in ["config check --rev stagin", "config show --rev stagin", "lock generate --rev stagin"] {
        let refused = shop.ends(line, 11);
        assert!(refused.stderr().contains("did you mean `staging`?"), "{refused}");
    }
    let refused = shop.ends("lock check staging", 2);
    assert!(refused.stderr().contains("`lock check --rev staging`"), "{refused}");
    let bare = shop.in_root("-C shop.git config check").run().expect_code(2);
    assert!(bare.stderr().contains("`--rev BRANCH` reads the one of a branch"), "{bare}");
    fs::write(shop.join("shop/.git/HEAD"), "ref: refs/heads/nothing\n").unwrap();
    let unborn = shop.ends("lock generate", 11);
    assert!(unborn.stderr().contains("has no commit yet") && !unborn.stderr().contains("did you mean"), "{unborn}");
    fs::write(shop.join("shop/.git/HEAD"), format!("{}\n", shop.head("dev").unwrap())).unwrap();
    for line in ["forge pr view", "forge pr checks"] {
        let refused = shop.ends(line, 2);
        assert!(refused.stderr().contains("by its number") && !refused.stderr().contains("--head"), "{refused}");
    }
}

/// A branch that is protected before it is there: the forge refuses every push of it, and says how it is made.
#[test]
fn a_protected_branch_that_is_not_there_is_named_with_the_way_to_make_it() {
    let shop = locked();
    let update = format!("{} --protect qa=orchestrator/lock --update", crate::shop::FORGE);
    let made = shop.in_root(&update).run().expect_code(0);
    assert!(made.stderr().contains("`qa` is protected and not there"), "{made}");
    let bare = shop.join("shop.git");
    let (_, command) = made.stderr().split_once("push of it: `git -C ").unwrap();
    let words: Vec<&str> = command.split('`').next().unwrap().split(' ').collect();
    let &[folder, "branch", name, from] = words.as_slice() else { panic!("{words:?}") };
    assert!(folder == "shop.git" && name == "qa", "{words:?}");
    shop.clone_folder().git(&["--git-dir", bare.to_str().unwrap(), "branch", name, from]);
    let again = shop.in_root(&update).run().expect_code(0);
    assert!(!again.stderr().contains("not there"), "{again}");
}

/// The comment of a configuration that cannot be read has one item a problem, and no drawing.
#[test]
fn a_configuration_that_cannot_be_read_is_one_item_a_problem() {
    let shop = locked();
    shop.work_on("dev").write("orchestrator.yaml", CONFIGURATION.replace("images:", "imagess:"));
    shop.commit_and_push("dev", "a slip");
    shop.ends("lock publish --pr 1", 2);
    let comment = shop.comments(1).join("\n");
    let items: Vec<&str> = comment.lines().filter(|line| line.starts_with("- orchestrator.yaml:")).collect();
    assert!(!items.is_empty() && items[0].contains("there is no key"), "{comment}");
    assert!(comment.contains(&format!("cannot be locked: {} problem", items.len())), "{comment}");
    assert!(comment.contains("hint: did you mean") && !comment.contains("^^^"), "{comment}");
    let status = shop.statuses(&shop.head("dev").unwrap());
    assert!(!format!("{status:?}").contains("^^^"), "{status:?}");
}

#[test]
fn github_gets_an_annotation_for_each_problem_with_its_place_and_its_hint() {
    let shop = locked();
    let text =
        CONFIGURATION.replace("suites: [system]", "suites: [sistem]").replace("mode: production", "mod: production");
    fs::write(shop.join("shop/orchestrator.yaml"), &text).unwrap();
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let refused = shop.ends("config check -o github", 2);
    for (part, words) in [("[sistem]", "did you mean `system`?"), ("mod: production", "did you mean `mode`?")] {
        let place = format!("::error title=usage,file=orchestrator.yaml,line={},col=", line(part));
        let annotation = refused.stdout().lines().find(|line| line.starts_with(&place));
        assert!(annotation.is_some_and(|one| one.contains("%0Ahint: ") && one.contains(words)), "{place}: {refused}");
    }
    // The same of what is wrong with the tree, and of warnings, which stand in the summary as well.
    let text = CONFIGURATION.replace("[./tests/check, smoke", "[./tests/chek, smoke");
    fs::write(shop.join("shop/orchestrator.yaml"), &text).unwrap();
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let refused = shop.ends("config check -o github", 2);
    let place = format!("::error title=usage,file=orchestrator.yaml,line={},col=", line("chek"));
    assert!(refused.stdout().contains(&place), "{place}: {refused}");
    let text = CONFIGURATION.replace("    promote: { to: production }\n", "");
    fs::write(shop.join("shop/orchestrator.yaml"), &text).unwrap();
    let line = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let summary = shop.join("summary");
    let warned = shop.orchestrator("config check -o github").env("GITHUB_STEP_SUMMARY", &summary).run().expect_code(0);
    let place = format!("::warning title=orchestrator,file=orchestrator.yaml,line={},col=", line("proven-in"));
    let annotation = warned.stdout().lines().find(|line| line.starts_with(&place));
    assert!(annotation.is_some_and(|one| one.contains("%0Ahint: ")), "{place}: {warned}");
    assert!(fs::read_to_string(&summary).unwrap().contains("- warning: `orchestrator.yaml:"), "{warned}");
    // What is copied from the summary is what it says.
    shop.orchestrator("images explain cart --rev dev -o github")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .run()
        .expect_code(0);
    let summary = fs::read_to_string(&summary).unwrap();
    assert!(summary.contains("@sha256:") && !summary.contains('\u{200b}'), "{summary}");
    fs::write(shop.join("shop/orchestrator.yaml"), CONFIGURATION).unwrap();
    let missing = shop.ends("images explain nobody --rev dev -o github", 2);
    assert!(missing.stdout().contains("::error title=usage::there is no service `nobody`%0Ahint: "), "{missing}");
}
