//! Who acts: a person by name or by git's address, and the bot only where it is named or in a CI job.

use serde_json::Value;
use test_support::{Finished, Invocation};

use crate::shop::{FORGE, Shop};

/// Somebody at the shop's clone who is not named.
fn unnamed(shop: &Shop, line: &str) -> Invocation {
    shop.orchestrator(line).env("ORCHESTRATOR_AS", "")
}

fn refused(invocation: Invocation, code: i32, words: &[&str]) {
    let finished: Finished = invocation.run().expect_code(code);
    for word in words {
        assert!(finished.stderr().contains(word), "`{word}` is not in {finished}");
    }
}

#[test]
fn t10_a_person_is_never_silently_the_bot() {
    let shop = Shop::new();
    let init = FORGE.replace("dana:write", "dana:write:dana@shop.example,d@shop.example");
    shop.in_root(&format!("{init} --update")).run().expect_code(0);
    let twice =
        FORGE.replace("dana:write", "dana:write:one@shop.example").replace("ana:write ", "ana:write:One@shop.example ");
    refused(shop.in_root(&format!("{twice} --update")), 2, &["`one@shop.example`", "of `ana` and of `dana`"]);
    refused(shop.in_root("-C shop.git forge init --user dana:write:dana"), 2, &["NAME:ROLE:MAIL"]);
    let clone = shop.clone_folder();
    let git = |arguments: &[&str]| clone.git(arguments);

    // Git has no address, or one that the forge does not know: enough to look, and not to change anything.
    let create = "forge pr create --base staging --title Release";
    unnamed(&shop, "status").run().expect_code(0);
    refused(unnamed(&shop, create), 2, &["git has no `user.email`", "--as USER", "ORCHESTRATOR_AS=USER"]);
    git(&["config", "user.email", "stranger@shop.example"]);
    unnamed(&shop, "forge pr list").run().expect_code(0);
    let ways = ["`stranger@shop.example`", "belongs to no user", "--as USER", "--user NAME:ROLE:stranger@shop.example"];
    refused(unnamed(&shop, create), 13, &ways);
    git(&["config", "user.email", "orchestrator@users.forge.invalid"]);
    refused(unnamed(&shop, create), 13, &["belongs to the bot `orchestrator`", "`--as orchestrator`"]);
    assert!(shop.records().is_empty());

    // Dana, by her address; her clone is on `dev`.
    git(&["config", "user.email", "D@shop.example"]);
    let created = unnamed(&shop, &format!("-o json {create}")).run().expect_code(0);
    let created: Value = serde_json::from_str(created.stdout()).unwrap();
    let pull_request = &created["result"]["pull_request"];
    assert_eq!((&pull_request["author"], &pull_request["head_branch"]), (&"dana".into(), &"dev".into()));
    // What only a bot may do is said before anything happens, with the command line that does it.
    let publish = "lock publish --pr 1";
    let printed = format!("`orchestrator --as orchestrator {publish}`");
    refused(unnamed(&shop, publish), 13, &["`dana` is a person", &printed]);
    for line in ["run staging", "deploy staging", "promote staging", "release production"] {
        let printed = format!("`orchestrator --as orchestrator {line}`");
        refused(unnamed(&shop, line), 13, &["`dana` is a person", &printed]);
    }
    let ana = shop.orchestrator("--as ana run staging");
    refused(ana, 13, &["`ana` is a person", "`orchestrator --as orchestrator run staging`"]);
    assert!(shop.records().is_empty());
    assert!(shop.comments(1).is_empty());

    // A CI job, and only one that says so.
    refused(unnamed(&shop, publish).env("CI", "1"), 13, &["`dana` is a person"]);
    unnamed(&shop, publish).env("CI", "true").run().expect_code(0);
    assert_eq!(shop.status(&clone.rev("dev"), "orchestrator/lock"), "success");
}

#[test]
fn t10_the_hook_knows_a_person_by_the_address_of_git() {
    let shop = Shop::new();
    let init = FORGE.replace("dana:write", "dana:write:dana@shop.example");
    shop.in_root(&format!("{init} --update")).run().expect_code(0);
    let clone = shop.work_on("dev");
    clone.write("README.md", "# Shop\n").commit("a better title");
    let push = ["push", "origin", "HEAD:dev"];
    let ci = [("CI", "true")];
    let refused = clone.try_git_with(&push, &ci);
    assert!(!refused.success() && refused.stderr.contains("it is not known who acts"), "{refused:?}");
    std::fs::write(shop.join("home/.gitconfig"), "[user]\n\tname = Dana\n\temail = dana@shop.example\n").unwrap();
    let home = shop.join("home");
    let known = clone.try_git_with(&push, &[("HOME", home.to_str().unwrap())]);
    assert!(known.success(), "{known:?}");
    // She is Dana there, and not the bot.
    let protected = clone.try_git_with(&["push", "origin", "HEAD:staging"], &[("HOME", home.to_str().unwrap())]);
    assert!(!protected.success() && protected.stderr.contains("`dana` is not on its bypass list"), "{protected:?}");
}

/// The usage names what is missing, and nothing that a variable gives already.
#[test]
fn the_usage_of_a_refusal_names_no_argument_that_a_variable_gives() {
    let shop = Shop::new();
    let run = shop.orchestrator("run").env("ORCHESTRATOR_AS", "orchestrator");
    let refused = run.run().expect_code(2);
    assert!(refused.stderr().contains("Usage: orchestrator run <ENVIRONMENT>\n"), "{refused}");
}
