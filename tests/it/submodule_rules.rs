//! Where submodules may come from, and whether their commits are pushed: asked of real repositories by the binary.

use std::net::TcpListener;
use std::time::Instant;

use serde_json::Value;
use test_support::{GitShim, Repository};

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::proven;

/// The shop's configuration with rules for submodules.
fn with_rules(rules: &str) -> String {
    CONFIGURATION.replace("suites:\n", &format!("submodules: {rules}\nsuites:\n"))
}

/// A commit of a service that only a developer's clone has; its image is there.
fn unpushed(shop: &Shop, name: &str) -> (Repository, String) {
    let clone = Repository::clone_from(shop.join(&format!("{name}.git")), shop.join(&format!("clones/{name}")));
    clone.write("VERSION", "not pushed\n");
    let commit = clone.commit("not pushed");
    shop.build_image(name, &commit, &commit);
    (clone, commit)
}

/// Gives a submodule another URL in the clone.
fn set_url(shop: &Shop, path: &str, url: &str) {
    shop.clone_folder().git(&["config", "--file", ".gitmodules", &format!("submodule.{path}.url"), url]);
}

fn subjects(document: &Value) -> Vec<&str> {
    let problems = document["error"]["problems"].as_array().expect("the problems are listed");
    problems.iter().map(|problem| problem["subject"].as_str().expect("each has a subject")).collect()
}

#[test]
fn p19_commits_that_were_never_pushed_are_all_named_and_no_lock_is_made() {
    let shop = Shop::new();
    let (cart, cart_commit) = unpushed(&shop, "shop-cart");
    let (dashboards, dashboards_commit) = unpushed(&shop, "shop-dashboards");
    shop.push_to_dev(
        &[("services/shop-cart", &cart_commit), ("ops/shop-dashboards", &dashboards_commit)],
        "what only dana has",
    );
    shop.open();
    // Nobody asked: the images are there.
    shop.ok("lock generate --rev dev");

    let line = "lock publish --pr 1 --check-pushed";
    let url = "[SANDBOX]/shop/../shop-cart.git";
    refuses(
        &shop,
        line,
        11,
        &[
            "2 of 3 commits are on no branch that counts",
            &format!("shop-cart: is at {}, which is on no branch of `{url}`: it was never pushed", &cart_commit[..12]),
            &format!("shop-dashboards: is at {}", &dashboards_commit[..12]),
            "hint: push the submodule's branch",
        ],
    );
    let head = shop.head("dev").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "failure");
    assert!(!shop.join("forge/artefacts/pull-1/lock.yaml").exists());
    let [comment] = &shop.comments(1)[..] else { panic!("one comment") };
    assert!(comment.contains("## No lock") && comment.contains("`shop-cart`: is at"), "{comment}");
    let refused = shop.json("lock generate --rev dev --check-pushed", 11);
    assert_eq!(subjects(&refused), ["shop-cart", "shop-dashboards"], "configuration-only services count too");

    cart.git(&["push", "--quiet", "origin", "HEAD:refs/heads/release/1"]);
    dashboards.git(&["push", "--quiet", "origin", "HEAD:refs/tags/v2"]);
    let published = shop.json(line, 0);
    assert_eq!(published["pushed"]["shop-cart"], serde_json::json!({ "branches": ["release/1"], "tags": [] }));
    assert_eq!(published["pushed"]["shop-dashboards"], serde_json::json!({ "branches": [], "tags": ["v2"] }));
    assert_eq!(published["pushed"]["shop-web"]["branches"], serde_json::json!(["main"]));
    let folder = shop.ok("lock generate --rev dev --check-pushed --output ../out");
    let row = folder.stdout().lines().find(|line| line.starts_with("shop-cart")).expect("a table of all services");
    assert!(row.contains("release/1"), "{row}");
    // Alone on stdout the lock stays a lock.
    let lock = shop.ok("lock generate --rev dev --check-pushed");
    lock_model::Lock::parse(lock.stdout().as_bytes(), "stdout").unwrap();
    assert!(lock.stderr().contains("release/1"), "{}", lock.stderr());
    let plain = shop.json("lock generate --rev dev", 0);
    assert_eq!(plain.get("pushed"), None, "nobody asked");
}

#[test]
fn t8_a_commit_that_a_host_gives_out_by_its_id_alone_is_not_pushed() {
    let shop = Shop::with(&with_rules("{ pushed: require }"));
    let host = shop.service("shop-cart");
    host.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let (_clone, imposter) = unpushed(&shop, "shop-cart");
    // What a pull request from a fork leaves at the host.
    host.git(&["fetch", "--quiet", "../clones/shop-cart", &format!("{imposter}:refs/pull/1/head")]);
    shop.push_to_dev(&[("services/shop-cart", &imposter)], "an imposter");
    shop.open();
    // A fetch by its id works, and says nothing.
    let other = Repository::init_bare(shop.join("other.git"));
    other.git(&["fetch", "--quiet", "../shop-cart.git", &imposter]);
    let said =
        ["shop-cart: is at", "though the remote has it: it may be a fork's", "hint: merge it in the submodule's"];
    for line in ["lock publish --pr 1", "lock generate --rev dev"] {
        refuses(&shop, line, 11, &said);
    }
    // Merged past the lock's job, it gets no lock either.
    let bare = shop.superproject();
    let merge = bare.git(&["commit-tree", "-p", "staging", "-p", "dev", "-m", "merged", "dev^{tree}"]);
    bare.git(&["update-ref", "refs/heads/staging", &merge]);
    let mut pull_request = shop.pull_request(1);
    pull_request["state"] = "merged".into();
    pull_request["merge"] = serde_json::json!({ "commit": merge, "by": "dana", "at": "2026-01-05T09:00:00Z" });
    std::fs::write(shop.join("forge/pulls/1.json"), pull_request.to_string()).unwrap();
    refuses(&shop, "lock commit staging", 11, &said[..2]);
    assert_eq!(shop.head("staging").unwrap(), merge, "nothing is committed");
}

#[test]
fn t8_only_branches_that_count_make_a_commit_pushed() {
    let shop = Shop::with(&with_rules("{ branches: [main, \"release/*\", refs/tags/v*], pushed: require }"));
    let (clone, commit) = unpushed(&shop, "shop-cart");
    clone.git(&["push", "--quiet", "origin", "HEAD:refs/heads/experiment"]);
    shop.push_to_dev(&[("services/shop-cart", &commit)], "an experiment");
    shop.open();
    refuses(
        &shop,
        "lock publish --pr 1",
        11,
        &["1 of 3 commits are on no branch that counts", "branches that count: `main`, `release/*`, `refs/tags/v*`"],
    );
    // A pull request that changes the rule is judged by the rule as it is: staging has none yet, so by its own.
    shop.work_on("dev").write("orchestrator.yaml", with_rules("{ branches: [experiment, main], pushed: require }"));
    shop.commit_and_push("dev", "experiments count");
    shop.ok("lock publish --pr 1");
    shop.ok("test run pull-request --pr 1");
    shop.ok("--as dana forge pr merge 1");
    shop.ok("run staging");
    // Now staging's rules hold, beside those of the pull request.
    clone.write("VERSION", "later\n");
    let later = clone.commit("later");
    shop.build_image("shop-cart", &later, &later);
    clone.git(&["push", "--quiet", "origin", "HEAD:refs/heads/elsewhere"]);
    shop.push_to_dev(&[("services/shop-cart", &later)], "elsewhere");
    shop.work_on("dev").write("orchestrator.yaml", with_rules("{ pushed: off }"));
    shop.commit_and_push("dev", "no rules");
    let number = shop.open();
    let line = format!("lock publish --pr {number}");
    refuses(&shop, &line, 11, &["branches that count: `experiment`, `main`"]);
    clone.git(&["push", "--quiet", "origin", "HEAD:refs/heads/experiment"]);
    shop.ok(&line);
    let [comment] = &shop.comments(number)[..] else { panic!("one comment") };
    for loosened in ["commits of submodules may be on any branch or tag", "are pushed is not asked any more"] {
        assert!(comment.contains(loosened), "{loosened}:\n{comment}");
    }
}

#[test]
fn p19_a_remote_that_does_not_answer_is_no_yes() {
    let shop = Shop::with(&with_rules("{ pushed: require }"));
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    shop.work_on("dev");
    for path in ["services/shop-web", "ops/shop-dashboards"] {
        set_url(&shop, path, &format!("https://{closed}/{path}.git"));
    }
    shop.commit_and_push("dev", "another host");
    shop.open();
    let refused = shop.json("lock publish --pr 1", 14);
    assert_eq!(subjects(&refused), ["shop-dashboards", "shop-web"]);
    assert_eq!(refused["error"]["message"], "whether 2 of 3 commits are pushed is not known");
    let head = shop.head("dev").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "failure");
    assert!(!shop.join("forge/artefacts/pull-1/lock.yaml").exists());
    // With something that is known to be wrong, trying again is no help: all are listed.
    let (_clone, commit) = unpushed(&shop, "shop-cart");
    shop.push_to_dev(&[("services/shop-cart", &commit)], "and one that nobody has");
    let refused = shop.json("lock publish --pr 1", 11);
    assert_eq!(subjects(&refused), ["shop-cart", "shop-dashboards", "shop-web"]);
    // A repository that is not there will not come by waiting.
    set_url(&shop, "services/shop-web", "../nowhere.git");
    shop.commit_and_push("dev", "a wrong name");
    let refused = shop.json("lock publish --pr 1", 11);
    assert_eq!(subjects(&refused), ["shop-cart", "shop-dashboards", "shop-web"]);
}

/// A shop one of whose submodules comes from a host that takes connections and says nothing.
fn with_a_host_that_hangs() -> (Shop, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let shop = Shop::with(&with_rules("{ pushed: require }"));
    shop.work_on("dev");
    set_url(&shop, "services/shop-web", &format!("https://{}/shop-web.git", silent.local_addr().unwrap()));
    shop.commit_and_push("dev", "a host that hangs");
    (shop, silent)
}

#[test]
fn p19_a_remote_that_says_nothing_ends_with_the_commands_deadline() {
    let (shop, _silent) = with_a_host_that_hangs();
    let begin = Instant::now();
    let ended = shop.orchestrator("--deadline 3s lock generate --rev dev").run();
    // Git's own deadline, or the command's, whichever is seen first: either way nothing hangs on.
    assert!(matches!(ended.code(), Some(14 | 22)), "{ended}");
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

#[test]
fn p19_a_signal_ends_the_question_at_once() {
    let (shop, _silent) = with_a_host_that_hangs();
    // Ctrl-C in the moment in which the host is asked.
    let shim = GitShim::watching("case \"$*\" in *ls-remote*) kill -INT $PPID ;; esac");
    let begin = Instant::now();
    shop.orchestrator("lock generate --rev dev").search_path(shim.search_path()).run().expect_code(130);
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

#[test]
fn t8_a_look_alike_owner_is_refused_showing_both() {
    let shop = proven();
    shop.work_on("dev");
    set_url(&shop, "services/shop-cart", "https://forge.example/sh0p/shop-cart.git");
    set_url(&shop, "services/shop-web", "../../shop-evil/shop-web.git");
    shop.commit_and_push("dev", "a letter");
    let number = shop.open();
    let line = format!("lock publish --pr {number}");
    refuses(
        &shop,
        &line,
        11,
        &[
            "2 of 3 submodules come from where they must not",
            "shop-cart: comes from another owner: `https://forge.example/shop/shop-cart.git` → \
             `https://forge.example/sh0p/shop-cart.git`",
            "shop-web: comes from another owner: `https://forge.example/shop/shop-web.git` → \
             `https://forge.example/shop-evil/shop-web.git`",
            "`submodules.allow` of the branch that this goes to",
        ],
    );
    // Its own permission is none: the list must be there before.
    let clone = shop.clone_folder();
    clone.write("orchestrator.yaml", with_rules("{ allow: [forge.example] }"));
    shop.commit_and_push("dev", "allowed by oneself");
    refuses(&shop, &line, 11, &["comes from another owner"]);
    let [comment] = &shop.comments(number)[..] else { panic!("one comment") };
    assert!(comment.contains("## No lock") && comment.contains("sh0p"), "{comment}");
    // Another repository of the same owner is said, not refused.
    set_url(&shop, "services/shop-cart", "../basket.git");
    set_url(&shop, "services/shop-web", "../shop-web.git");
    clone.write("orchestrator.yaml", CONFIGURATION);
    shop.commit_and_push("dev", "a new name");
    let published = shop.json(&line, 0);
    assert_eq!(published["risks"][0]["risk"], "repository-changed", "{published:#}");
}

#[test]
fn t8_the_list_of_the_target_decides_which_owners_there_are() {
    let rules = with_rules("{ allow: [forge.example/shop, \"tools.example:8443\"] }");
    let shop = Shop::with(&rules);
    shop.merge_dev();
    shop.ok("run staging");
    shop.work_on("dev");
    let clone = shop.clone_folder();
    set_url(&shop, "services/shop-cart", "https://forge.example/sh0p/shop-cart.git");
    clone.write("orchestrator.yaml", with_rules("{ allow: [forge.example, \"tools.example:8443\"] }"));
    shop.commit_and_push("dev", "a wider list, and its use");
    let number = shop.open();
    let line = format!("lock publish --pr {number}");
    refuses(
        &shop,
        &line,
        11,
        &[
            "shop-cart: comes from `https://forge.example/sh0p/shop-cart.git`, which `submodules.allow` does not name",
            "`.gitmodules`, submodule `services/shop-cart`: `https://forge.example/sh0p/shop-cart.git`, owner \
             `forge.example/sh0p`",
            "allowed: `forge.example/shop`, `tools.example:8443`",
            &format!("the list is that of {}, which this goes to", &shop.head("staging").unwrap()[..12]),
            "of the branch that this goes to, by a change of its own",
        ],
    );
    // Its own list holds as well, where it is narrower.
    set_url(&shop, "services/shop-cart", "../shop-cart.git");
    clone.write("orchestrator.yaml", with_rules("{ allow: [\"tools.example:8443\"] }"));
    shop.commit_and_push("dev", "a narrow list");
    let refused = shop.json(&line, 11);
    assert_eq!(subjects(&refused), ["shop-cart", "shop-dashboards", "shop-web"]);
    assert!(refused.to_string().contains("the list is that of this commit's `orchestrator.yaml`"), "{refused:#}");
    assert!(refused.to_string().contains("or add the source to `submodules.allow`"), "{refused:#}");
    // What both name is taken, and shown to whoever reviews it.
    set_url(&shop, "services/shop-cart", "https://tools.example:8443/shop/shop-cart.git");
    clone.write("orchestrator.yaml", &rules);
    shop.commit_and_push("dev", "a move");
    let published = shop.json(&line, 0);
    assert_eq!(published["risks"][0]["risk"], "owner-changed", "{published:#}");
    assert!(published["warnings"][0].as_str().unwrap().contains("`shop-cart` comes from another owner"));
    let [comment] = &shop.comments(number)[..] else { panic!("one comment") };
    let (changes, rest) = comment.split_once("### Look at these first").expect("risks have a place");
    assert!(changes.contains("| service |") && rest.contains("`shop-cart` **comes from another owner**"), "{comment}");
    let head = shop.head("dev").unwrap();
    assert!(shop.statuses(&head)["orchestrator/lock"].1.contains("1 to look at first"));
}
