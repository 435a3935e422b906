//! What is refused on the way to staging: with its exit code, its reason, and what to do.

use std::fs;

use test_support::HOSTILE_TEXT;

use crate::flow::steps;
use crate::shop::{Built, CONFIGURATION, Shop};
use crate::stops::{locked, proven};

/// A command that must refuse with a code; all of the words must be in its output.
#[track_caller]
pub(crate) fn refuses(shop: &Shop, line: &str, code: i32, words: &[&str]) {
    let text = shop.ends(line, code).text();
    for word in words {
        assert!(text.contains(word), "`{line}` does not say `{word}`:\n{text}");
    }
}

/// The merged staging of `locked`, not run yet.
pub(crate) fn merged() -> crate::stops::AtStop {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    shop
}

#[test]
fn p2_missing_images_are_refused_with_everything_that_was_tried() {
    let shop = Shop::with(&CONFIGURATION.replace("[\"main-{sha7}\"]", "[\"main-{sha7}\", \"sha-{sha12}\"]"));
    let cart = shop.new_version("shop-cart", 2, Built::No);
    let web = shop.new_version("shop-web", 2, Built::No);
    shop.push_to_dev(&[("services/shop-cart", &cart), ("services/shop-web", &web)], "two at once");
    shop.open();
    let tried = |short: &str, commit: &str| {
        [
            format!("tried registry.example/shop/{short}:main-{}: does not exist", &commit[..7]),
            format!("tried registry.example/shop/{short}:sha-{}: does not exist", &commit[..12]),
        ]
    };
    let tried = [tried("cart", &cart), tried("web", &web)].concat();
    let mut words = vec!["2 of 2 services", "shop-cart:", "shop-web:", "once the service's CI has published the image"];
    words.extend(tried.iter().map(String::as_str));
    refuses(&shop, "lock publish --pr 1", 12, &words);
    let head = shop.head("dev").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "failure");
    // Without the status there is no merge.
    refuses(&shop, "--as dana forge pr merge 1", 20, &["required status `orchestrator/lock` is failure"]);
    assert!(!shop.join("forge/artefacts/pull-1/lock.yaml").exists(), "no partial lock");
}

#[test]
fn p10_a_direct_push_is_refused_by_the_hook_and_by_every_run_where_it_got_through() {
    let shop = proven();
    let clone = shop.clone_folder();
    let before = shop.untouched();
    shop.work_on("staging").write("README.md", "# A shop, in a hurry\n").commit("straight to staging");
    for user in ["dana", "eve", "nobody"] {
        for force in [&["push", "--quiet"][..], &["push", "--quiet", "--force"]] {
            let arguments = [force, &["origin", "HEAD:staging"]].concat();
            let answer = clone.try_git_with(&arguments, &[("ORCHESTRATOR_AS", user)]);
            assert!(!answer.success(), "{user}: {answer:?}");
            assert!(answer.stderr.contains("refused"), "{user}: {answer:?}");
        }
    }
    let deletion = clone.try_git_with(&["push", "--quiet", "origin", ":staging"], &[("ORCHESTRATOR_AS", "eve")]);
    assert!(!deletion.success(), "{deletion:?}");
    assert_eq!(shop.untouched(), before);

    // Somebody with a hand on the server.
    let cart = shop.new_version("shop-cart", 2, Built::Yes);
    shop.work_on("staging").gitlink("services/shop-cart", &cart);
    let commit = shop.clone_folder().commit("straight to staging");
    shop.force("staging");
    let before = shop.untouched();
    let hint = "hint: open a pull request for the change";
    refuses(&shop, "run staging", 20, &["came to `staging` without a pull request", hint]);
    assert_eq!(shop.status(&commit, "orchestrator/lock"), "failure");
    let blocked =
        format!("staging is blocked at {}: commit {0} came to `staging` without a pull request", &commit[..12]);
    let standing = shop.ok("status");
    assert!(standing.stdout().contains(&blocked), "{standing}");
    let mismatch = "hint: `orchestrator lock commit staging` commits the lock of a merge";
    refuses(&shop, "plan staging", 11, &["does not belong to commit", "services/shop-cart", &cart[..12], mismatch]);
    refuses(&shop, "lock check --rev staging", 1, &["belongs to the tree", &cart[..12]]);
    refuses(&shop, "deploy staging", 11, &["belongs-to-tree: the lock does not belong to the tree"]);
    assert_eq!(shop.untouched(), before);
}

#[test]
fn p21_an_environment_that_is_not_healthy_gets_no_deployment() {
    let shop = merged();
    shop.broken("staging", "platform", true);
    let again = "Once the cause is gone: `orchestrator run staging` goes on from here.";
    refuses(
        &shop,
        "run staging",
        1,
        &["health       failed", "platform: ended with exit status 1: platform is broken in staging", again],
    );
    refuses(&shop, "health staging", 1, &["platform is broken in staging"]);
    assert_eq!(shop.head("deploy/staging"), None);
    let tip = shop.head("staging").unwrap();
    assert_eq!(shop.status(&tip, "orchestrator/staging-proof"), "failure");
    assert!(!shop.story().contains(&"staging deploy started".to_owned()), "{:?}", shop.story());
    shop.broken("staging", "platform", false);
    shop.ok("run staging");
    assert_eq!(shop.status(&tip, "orchestrator/staging-proof"), "success");
}

#[test]
fn p21_a_probe_without_an_answer_is_not_healthy() {
    // Port 1 of the loopback address: nobody listens there.
    let probe = "      silent: { kind: tcp, address: \"127.0.0.1:1\", severity: block, deadline: 2s }\nenvironments:\n";
    let shop = Shop::with(&CONFIGURATION.replace("environments:\n", probe));
    shop.merge_dev();
    let refused = shop.json("run staging", 1);
    assert_eq!(steps(&refused), ["lock-commit ok", "gates ok", "health failed"]);
    assert!(refused["steps"][2]["detail"].as_str().unwrap().starts_with("silent: "), "{refused:#}");
}

#[test]
fn p17_p18_p21_a_suite_that_fails_or_does_not_end_stops_the_promotion_and_the_others_still_run() {
    let suites = "  slow: { kind: command, command: [sleep, \"600\"], deadline: 1s }\n  after: { kind: command, command: [./tests/check, after, \"{mode}\"], env: [SHOP_STATE], deadline: 1m }\n  smoke:";
    let configuration =
        CONFIGURATION.replace("  smoke:", suites).replace("suites: [system]", "suites: [system, slow, after]");
    let shop = Shop::with(&configuration);
    shop.merge_dev();
    shop.broken("staging", "system", true);
    let failed = shop.json("run staging", 1);
    let steps = steps(&failed);
    assert_eq!(
        steps[steps.len() - 4..],
        ["suite system failed", "suite slow failed", "suite after ok", "proof failed"],
        "{failed:#}"
    );
    let detail = |suite: &str| {
        let all = failed["steps"].as_array().unwrap();
        let step = all.iter().find(|step| step["step"] == format!("suite {suite}")).unwrap();
        step["detail"].as_str().unwrap().to_owned()
    };
    assert!(detail("system").contains("system is broken in staging"), "{}", detail("system"));
    assert!(detail("slow").contains("did not end within 1 s"), "{}", detail("slow"));
    let tip = shop.head("staging").unwrap();
    let statuses = shop.statuses(&tip);
    assert_eq!(statuses["orchestrator/staging-proof"].0, "failure", "{statuses:?}");
    assert!(!shop.join("forge/pulls/2.json").exists(), "nothing is promoted");
    assert!(shop.deployed_image("staging", "shop-cart").is_some(), "deployed it is");
    refuses(
        &shop,
        "promote staging",
        20,
        &["is not proven in `staging`", "hint: `orchestrator run staging` makes the proof"],
    );
    // `test run` answers the same question for people, with a report that is written in any case.
    let report = shop.join("report.xml");
    shop.ends(&format!("test run staging --suite system --suite after --junit {}", report.display()), 1);
    let report = fs::read_to_string(report).unwrap();
    assert!(report.contains("<failure") && report.contains("name=\"after"), "{report}");
}

#[test]
fn p21_a_promotion_goes_back_to_draft_when_its_next_commit_is_not_proven() {
    let shop = proven();
    assert_eq!(shop.pull_request(2)["draft"], false);
    shop.bump("services/shop-web", 2);
    shop.merge_dev();
    shop.broken("staging", "system", true);
    shop.ends("run staging", 1);
    assert_eq!(shop.pull_request(2)["draft"], true);
    let comments = shop.comments(2);
    assert!(comments.iter().any(|body| body.starts_with("Back to draft: `staging` did not prove")), "{comments:?}");
    shop.approve(2, &["ana", "ben", "chloe", "dan"]);
    shop.ok("approvals --pr 2");
    refuses(
        &shop,
        "--as ana forge pr merge 2",
        20,
        &["draft", "required status `orchestrator/staging-proof` is failure"],
    );
    shop.broken("staging", "system", false);
    shop.ok("run staging");
    assert_eq!(shop.pull_request(2)["draft"], false);
    shop.ok("--as ana forge pr merge 2");
}

#[test]
fn a_rejected_lock_and_a_held_environment_stop_every_deployment() {
    let shop = merged();
    let id = {
        let artefact = fs::read(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap();
        lock_model::Lock::parse(&artefact, "lock.yaml").unwrap().id().to_string()
    };
    shop.ok("lock reject ../forge/artefacts/pull-1/lock.yaml --reason \"loses orders\"");
    let words = ["was rejected by orchestrator: loses orders", "hint: a rejected lock is never deployed"];
    refuses(&shop, "run staging", 20, &words);
    refuses(&shop, &format!("lock reject {id} --reason again"), 0, &["was rejected before"]);
    assert_eq!(shop.file("staging", "locks/lock.yaml"), None, "it is not even committed");

    let shop = proven();
    let lock = shop.json("status staging", 0)["environments"][0]["deployed"]["lock"].as_str().unwrap().to_owned();
    let digits = lock.strip_prefix("sha256:").unwrap();
    let hint = "`orchestrator releases` shows the locks";
    for unknown in ["0000000000ff", "sha256:0000000000ff", &lock.replace(digits, &"0".repeat(64))] {
        refuses(&shop, &format!("lock reject {unknown} --reason x"), 2, &[hint]);
    }
    refuses(&shop, &format!("lock reject sha256:{} --reason x", &digits[..7]), 11, &["names no commit"]);
    shop.ok(&format!("lock reject {} --reason \"loses orders\"", &digits[..12]));
    refuses(&shop, &format!("lock reject {digits} --reason again"), 0, &["was rejected before"]);
    refuses(&shop, "status", 0, &["staging has release ", "rejected its lock: loses orders (record "]);
    refuses(&shop, "releases", 0, &["is never deployed again: ", "rejected its lock: loses orders (record "]);
    let status = shop.json("status staging", 0);
    let blocked = status["environments"][0]["blocked"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(blocked.contains("rejected its lock: loses orders"), "{status}");
    refuses(&shop, "deploy staging", 20, &["not-rejected: rejected by orchestrator", "loses orders", "make a new one"]);

    let shop = merged();
    shop.ok("hold staging --reason \"a demonstration\"");
    let hint = "hint: lift it when its reason is gone: `orchestrator unhold staging --reason …`";
    refuses(&shop, "run staging", 20, &["not-held: `staging` is held", "a demonstration", hint]);
    assert_eq!(shop.head("deploy/staging"), None);
    refuses(&shop, "run staging --lift-hold", 2, &["--reason"]);
    shop.ok("run staging --lift-hold --reason \"it is over\"");
}

#[test]
fn every_mistake_of_a_configuration_is_said_with_its_place() {
    let shop = Shop::new();
    let wrong = CONFIGURATION
        .replace("    promote: { to: production }", "    promote: { to: produktion }")
        .replace("count: 4", "count: many")
        .replace("    namespace: shop-staging", "    namepsace: shop-staging");
    shop.work_on("dev").write("orchestrator.yaml", &wrong);
    let words = [
        "orchestrator.yaml:30:5: environments.staging.namepsace",
        "did you mean `namespace`?",
        "orchestrator.yaml:32:20: environments.staging.promote.to",
        "orchestrator.yaml:36:72: environments.production.requires.approvals.count",
        "{ count: many }",
    ];
    refuses(&shop, "config check", 2, &words);
    shop.commit_and_push("dev", "a wrong configuration");
    shop.open();
    refuses(&shop, "lock publish --pr 1", 2, &words);
    assert_eq!(shop.status(&shop.head("dev").unwrap(), "orchestrator/lock"), "failure");
}

#[test]
fn t35_foreign_text_makes_no_workflow_command() {
    let shop = merged();
    shop.ok("hold staging --reason \"::error::x ##[group]y ::add-mask::z %0A::stop-commands::w\"");
    shop.broken("staging", "platform", true);
    let summary = shop.join("summary.md");
    for (line, code) in [("run staging", 20), ("status", 0), ("history", 0), ("health staging", 1)] {
        let command = shop.orchestrator(&format!("--format github {line}")).env("GITHUB_STEP_SUMMARY", &summary);
        let finished = command.run().expect_code(code);
        for shown in finished.stdout().lines().chain(finished.stderr().lines()) {
            let ours = ["::error title=", "::warning title="].iter().any(|start| shown.starts_with(start));
            let foreign = shown.starts_with("::") && !ours;
            assert!(!foreign && !shown.starts_with("##["), "`{line}` prints a command: {shown}\n{finished}");
        }
    }
    let page = fs::read_to_string(summary).unwrap();
    assert!(page.contains("add-mask") && page.contains("| step | result | detail |"), "{page}");
}

#[test]
fn t29_t36_hostile_names_and_titles_are_text_everywhere() {
    let shop = proven();
    let branch = "zzz\";echo${IFS}x>pwned;#$(touch${IFS}pwned)";
    // Line ends are refused in a title; what is left of every row fits.
    let title: String = HOSTILE_TEXT.iter().map(|(_, text)| text.replace(['\n', '\r'], " ")).collect();
    let title: String = title.chars().take(250).collect();
    let web = shop.new_version("shop-web", 2, Built::Yes);
    shop.work_on("dev").gitlink("services/shop-web", &web);
    shop.commit_and_push(branch, "web 2\u{1b}[2J");
    let open = shop.orchestrator("--as dana forge pr create --base staging --head").args([branch, "--title", &title]);
    let mut seen = vec![open.run().expect_code(0)];
    for line in [
        "lock publish --pr 3",
        "test run pull-request --pr 3",
        "forge pr view 3",
        "forge pr list",
        "--as dana forge pr merge 3",
        "run staging",
    ] {
        seen.push(shop.ok(line));
    }
    seen.push(shop.orchestrator("hold staging --reason").arg(&title).run().expect_code(0));
    for line in ["status", "history", "history --format github"] {
        seen.push(shop.ok(line));
    }
    seen.push(shop.ends("run staging", 20));
    for finished in &seen {
        for stream in [finished.stdout(), finished.stderr()] {
            let raw = stream.chars().find(|c| {
                (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            });
            assert_eq!(raw, None, "{finished}");
        }
    }
    for folder in ["", "shop", "shop.git", "home"] {
        assert!(!shop.join(folder).join("pwned").exists(), "the branch's name ran in {folder:?}");
    }
    // What begins like an option is no name.
    for line in [
        "run -- --upload-pack=x",
        "test run staging --suite=-x",
        "--as dana forge pr create --head=--exec=x --base staging --title x",
        "--as=-x forge pr list",
        "rollback production --to=--output=x --reason x",
    ] {
        let code = shop.orchestrator(line).run().code();
        assert!(matches!(code, Some(2 | 20)), "`{line}` ended with {code:?}");
    }
    let revision = shop.ends("lock generate --rev=--output=pwned", 11);
    assert!(!shop.join("shop/pwned").exists(), "{revision}");
}

#[test]
fn an_empty_variable_is_unset_and_a_wrong_one_stops_only_those_who_need_it() {
    let shop = merged();
    for (name, value) in [("ORCHESTRATOR_AS", ""), ("ORCHESTRATOR_AS", "a b"), ("ORCHESTRATOR_FORGE", "")] {
        shop.orchestrator("config check").env(name, value).run().expect_code(0);
        shop.orchestrator("completion bash").env(name, value).run().expect_code(0);
    }
    for name in ["ORCHESTRATOR_AS", "ORCHESTRATOR_CACHE"] {
        shop.orchestrator("status").env(name, "").run().expect_code(0);
    }
    let refused = shop.orchestrator("status").env("ORCHESTRATOR_AS", "a b").run().expect_code(2);
    assert!(refused.stderr().contains("the variable `ORCHESTRATOR_AS`"), "{refused}");
}

#[test]
fn refused_arguments_keep_the_format_and_name_the_command() {
    let shop = merged();
    let summary = shop.join("arguments.md");
    let command = shop.orchestrator("--format github run STAGING").env("GITHUB_STEP_SUMMARY", &summary);
    let refused = command.run().expect_code(2);
    assert!(refused.stdout().contains("::error title=usage::"), "{refused}");
    assert!(fs::read_to_string(summary).unwrap().contains("STAGING"));
    // The values of options are no commands.
    for line in [
        "-C run status --nonsense --format json",
        "--format=json --forge lock status --nonsense",
        "status --nonsense -o json",
        "-ojson status --nonsense",
        "-o=json status --nonsense",
    ] {
        let refused = shop.orchestrator(line).run().expect_code(2);
        let document: serde_json::Value = serde_json::from_str(refused.stdout()).unwrap();
        assert_eq!(document["command"], "status", "{refused}");
        let message = document["error"]["message"].as_str().unwrap();
        assert!(message.contains("--nonsense") && !message.contains("For more information"), "{message}");
    }
}

#[test]
fn a_suite_whose_image_no_lock_has_is_refused_before_the_merge() {
    let suite =
        r#"system: { kind: command, command: [./tests/check, system, "{mode}"], env: [SHOP_STATE], deadline: 1m }"#;
    let container = "system: { kind: container, service: shop-carts, args: [\"{url}\"] }";
    let keys = "suites: [system]\n    containers: job\n    kubeconfig: { env: SHOP_KUBECONFIG }";
    let text = CONFIGURATION.replace(suite, container).replacen("suites: [system]", keys, 1);
    let shop = Shop::with(&text);
    let checked = shop.orchestrator("config check").run().expect_code(2);
    let message = "no service is named `shop-carts`, did you mean `shop-cart`?";
    assert!(checked.stderr().contains(message), "{checked}");
    let number = shop.open();
    let published = shop.ends(&format!("lock publish --pr {number}"), 20);
    for told in [message, "uses `{url}`, and `environments.staging` has no `url:`"] {
        assert!(published.text().contains(told), "`{told}` is not in:\n{}", published.text());
    }
}

#[test]
fn notes_do_not_stand_before_a_lock_on_stdout() {
    let shop = merged();
    let line = "--format github lock generate --check-pushed --rev dev";
    let made = shop.orchestrator(line).run().expect_code(0);
    assert!(!made.stdout().contains("BRANCHES") && made.stderr().contains("BRANCHES"), "{made}");
}

#[test]
fn what_is_no_file_is_told_and_not_waited_for() {
    let shop = merged();
    let at = |name: &str| shop.join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let pipe = at("pipe").display().to_string();
    let words = ["cannot be read", "it is a pipe and no file"];
    for line in [
        format!("deploy staging --plan {pipe}"),
        format!("lock check {pipe}"),
        format!("lock generate --service shop-cart --previous {pipe}"),
        format!("lock migrate {pipe}"),
    ] {
        refuses(&shop, &line, 2, &words);
    }
    let folder = at("home").display().to_string();
    refuses(&shop, &format!("deploy staging --plan {folder}"), 2, &["cannot be read", "it is a folder and no file"]);
    let clone = shop.clone_folder();
    fs::remove_file(clone.path().join("orchestrator.yaml")).unwrap();
    fs::rename(at("pipe"), clone.path().join("orchestrator.yaml")).unwrap();
    refuses(&shop, "config check", 2, &words);
}
