//! What a run does in the situations that the older pipeline got wrong.

use std::fs;

use test_support::Repository;

use crate::flow::steps;
use crate::shop::{Built, CONFIGURATION, Shop};
use crate::stops::{locked, proven, read_json, released, sha256};

#[test]
fn p7_head_base_and_tree_of_a_lock_are_in_history_for_good() {
    let shop = released();
    let text = shop.file("main", "locks/lock.yaml").unwrap();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: ")));
        line.unwrap().trim_matches('"').to_owned()
    };
    let repository = shop.superproject();
    for commit in [field("head"), field("base")] {
        assert_eq!(repository.git(&["cat-file", "-t", &commit]), "commit");
        repository.git(&["merge-base", "--is-ancestor", &commit, "main"]);
    }
    // The tree is the merge's, from before the lock was added to it.
    let merge = shop.pull_request(1)["merge"]["commit"].as_str().unwrap().to_owned();
    assert_eq!(field("tree"), repository.tree(&merge));
    // A clone that fetches branches and nothing else has all of it.
    let clone = Repository::clone_from(shop.join("shop.git"), shop.join("fresh"));
    assert_eq!(clone.git(&["cat-file", "-t", &field("head")]), "commit");
}

#[test]
fn b14_p8_a_lock_does_not_look_at_the_checkout() {
    let shop = locked();
    let before = shop.json("lock generate --rev dev", 0);
    let clone = shop.clone_folder();
    // A moved gitlink in the index, an edited `.gitmodules`, a folder that is gone: `git submodule status` shows all.
    clone.gitlink("services/shop-cart", &clone.head());
    clone.write(".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = https://elsewhere.example/x\n");
    fs::remove_dir_all(shop.join("shop/services")).unwrap();
    assert_eq!(shop.json("lock generate --rev dev", 0), before);
}

#[test]
fn p8_urls_in_a_lock_are_what_git_submodule_makes_of_them() {
    let shop = Shop::new();
    let clone = shop.clone_folder();
    // All that git accepts as relative, and an absolute one.
    for (path, url) in [
        ("services/shop-cart", "../shop-cart.git"),
        ("services/shop-web", "../../elsewhere/shop-web.git"),
        ("ops/shop-dashboards", "./dashboards"),
    ] {
        clone.git(&["config", "--file", ".gitmodules", &format!("submodule.{path}.url"), url]);
    }
    let commit = shop.commit_and_push("dev", "other URLs");
    let lock = shop.ok(&format!("lock generate --rev {commit}")).stdout().to_owned();
    let reference = Repository::clone_from(shop.join("shop.git"), shop.join("reference"));
    reference.git(&["switch", "--quiet", "--detach", &commit]);
    // What `forge.repository` of the configuration says.
    reference.git(&["config", "remote.origin.url", "https://forge.example/shop/shop"]);
    reference.git(&["submodule", "--quiet", "init"]);
    for path in ["services/shop-cart", "services/shop-web", "ops/shop-dashboards"] {
        let url = reference.git(&["config", &format!("submodule.{path}.url")]);
        assert!(lock.contains(&format!("url: {url}\n")), "git says {url}:\n{lock}");
    }
}

/// A shop with a service that staging leaves out until a day.
fn with_reports(until: &str) -> Shop {
    let left_out = format!(
        "    not-deployed:\n      shop-reports: {{ reason: needs the data warehouse, owner: team-data, until: \"{until}\" }}\n    suites: [system]\n"
    );
    let configuration = CONFIGURATION.replace("    suites: [system]\n", &left_out);
    Shop::with_services(&["ops/shop-dashboards", "services/shop-cart", "services/shop-reports"], &configuration)
}

#[test]
fn p5_p25_what_has_no_image_and_what_is_left_out_is_locked_and_said() {
    let shop = with_reports("2099-12-31");
    shop.merge_dev();
    let lock = shop.file("dev", "locks/lock.yaml");
    assert_eq!(lock, None, "the lock is never on dev");
    shop.ok("run staging");

    let shown = shop.json("lock show staging", 0);
    assert_eq!(shown["services"]["shop-dashboards"]["image"], serde_json::Value::Null, "nothing is invented");
    assert!(shown["services"]["shop-reports"]["image"]["digest"].is_string(), "left out is not unlocked");
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    assert!(lock.contains("  shop-dashboards:\n    kind: configuration\n"), "{lock}");

    let files = shop.superproject().git(&["ls-tree", "-r", "--name-only", "deploy/staging"]);
    assert_eq!(files.lines().collect::<Vec<_>>(), ["release.yaml", "services/shop-cart/app.yaml"]);
    let said = "needs the data warehouse";
    let comments = shop.comments(1);
    assert!(comments[0].contains(said) && comments[0].contains("team-data"), "{}", comments[0]);
    assert!(shop.file("deploy/staging", "release.yaml").unwrap().contains(said));
    let plan = shop.ok("plan staging");
    assert!(
        plan.stdout().contains("not deployed: shop-reports (needs the data warehouse (team-data, until 2099-12-31))")
    );
    assert!(plan.stdout().contains("not deployed: shop-dashboards (no container of its own)"), "{}", plan.text());
}

#[test]
fn p25_a_service_that_was_left_out_for_too_long_stops_the_train() {
    let shop = with_reports("2026-01-05");
    shop.merge_dev();
    // It was merged on the last day, and runs on the next one.
    let late = shop.orchestrator("--format json run staging").env("ORCHESTRATOR_CLOCK", "2026-01-06T09:00:00Z");
    let refused = late.run().expect_code(20);
    assert!(refused.stdout().contains("shop-reports (until 2026-01-05)"), "{refused}");
    assert_eq!(shop.head("deploy/staging"), None);
    assert!(!shop.story().iter().any(|record| record.contains(" deploy ")), "{:?}", shop.story());
}

#[test]
fn p11_a_lock_is_committed_once_and_never_after_its_own_commit() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    let merge = shop.head("staging").unwrap();
    let first = shop.json("lock commit staging", 0);
    let tip = shop.head("staging").unwrap();
    assert_eq!(first["commit"], tip.as_str());
    assert_eq!(shop.superproject().rev("staging^"), merge, "one commit on the merge");
    let changed = shop.superproject().git(&["diff", "--name-only", &merge, "staging"]);
    assert_eq!(changed.lines().collect::<Vec<_>>(), ["locks/.gitattributes", "locks/lock.yaml", "locks/schema.json"]);
    let records = shop.story();
    // The push of the lock commit starts the same job again, and the job may be repeated for ever.
    for _again in 0..2 {
        let again = shop.json("lock commit staging", 0);
        assert_eq!(again["note"], "already committed (record 2)");
        assert_eq!(shop.head("staging").unwrap(), tip);
        assert_eq!(shop.story(), records);
    }
    shop.ok("run staging");
    assert_eq!(shop.head("staging").unwrap(), tip);
}

#[test]
fn p12_one_comment_that_begins_with_what_changes() {
    let shop = locked();
    let one = |what: &str| {
        let comments = shop.comments(1);
        assert_eq!(comments.len(), 1, "{what}");
        comments.into_iter().next().unwrap()
    };
    let first = one("published once");
    shop.ok("lock publish --pr 1");
    assert_eq!(one("published again"), first, "nothing new to say");
    let web = shop.bump("services/shop-web", 2);
    shop.ok("lock publish --pr 1");
    let third = one("published a third time");
    // A missing image takes the place of the lock's comment, and is replaced in turn.
    let cart = shop.new_version("shop-cart", 2, Built::No);
    shop.push_to_dev(&[("services/shop-cart", &cart)], "cart 2");
    shop.ends("lock publish --pr 1", 12);
    let missing = one("no image");
    assert!(missing.contains("## No lock"), "{missing}");
    assert!(missing.contains(&format!("tried `registry.example/shop/cart:main-{}", &cart[..7])), "{missing}");
    assert!(!missing.contains("tried `tried"), "{missing}");
    // Diff first: heading, one line, the table of changes; no dump.
    let lines: Vec<&str> = third.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[0], "<!-- orchestrator:lock -->");
    assert!(lines[1].starts_with("## Lock `"), "{third}");
    assert!(lines[2].starts_with("Release `"), "{third}");
    assert_eq!(lines[3], "| service | commit | image |  |");
    assert!(lines.iter().any(|line| line.contains("`shop-web`") && line.contains(&web[..7])), "{third}");
    assert!(third.len() < 4096, "{} bytes", third.len());
}

#[test]
fn p13_a_readme_edit_gets_its_status_from_the_proof_and_nothing_else() {
    let shop = released();
    let (before, tags) = (shop.untouched(), shop.superproject().git(&["tag", "--list"]));
    shop.work_on("dev").write("README.md", "# A shop, in other words\n");
    shop.commit_and_push("dev", "other words");
    assert_eq!(shop.merge_dev(), 3);
    let published = read_json(&shop.join("forge/pulls/3.json"));
    assert_eq!(published["state"], "merged");
    let records = shop.story().len();

    let staged = shop.json("run staging", 0);
    let proven = shop.head("staging").unwrap();
    let done: Vec<String> = steps(&staged);
    for step in ["deploy", "suite system", "proof"] {
        assert!(done.contains(&format!("{step} done")), "{done:?}");
    }
    assert_eq!(shop.untouched()["refs/heads/deploy/staging"], before["refs/heads/deploy/staging"]);
    assert_eq!(staged["commit"], proven.as_str());
    assert_eq!(proven, published["merge"]["commit"].as_str().unwrap(), "the lock in the tree is the right one already");
    let status = &shop.statuses(&proven)["orchestrator/staging-proof"];
    assert_eq!(status.0, "success", "{status:?}");
    let new = shop.story().split_off(records);
    assert!(!new.iter().any(|record| record.contains("deploy") || record.contains("suite")), "{new:?}");

    // Production: approved and merged, and still the same release with the same one tag.
    shop.approve_and_merge(4);
    let produced = shop.json("run production", 0);
    assert_eq!(produced["release"], staged["release"]);
    assert!(steps(&produced).contains(&"release done".to_owned()), "{produced:#}");
    assert_eq!(shop.untouched()["refs/heads/deploy/production"], before["refs/heads/deploy/production"]);
    assert_eq!(shop.superproject().git(&["tag", "--list"]), tags);
}

#[test]
fn p10_a_push_past_the_pull_request_is_locked_anew_where_that_is_configured() {
    let configuration = CONFIGURATION.replace("shop/shop\" }", "shop/shop\", direct-push: relock }");
    let shop = Shop::with(&configuration);
    shop.merge_dev();
    shop.ok("run staging");
    let cart = shop.new_version("shop-cart", 2, Built::Yes);
    shop.work_on("staging").gitlink("services/shop-cart", &cart);
    shop.clone_folder().commit("cart 2, in a hurry");
    shop.force("staging");
    let run = shop.json("run staging", 0);
    assert!(run["steps"][0]["detail"].as_str().unwrap().contains("unreviewed: direct-push"), "{run:#}");
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    assert!(lock.contains(&cart) && !lock.contains("pull_request:"), "{lock}");
    // The promotion says so to whoever approves.
    let body = shop.pull_request(2)["body"].as_str().unwrap().to_owned();
    assert!(body.to_lowercase().contains("unreviewed") || body.contains("without a pull request"), "{body}");
    let committed = shop.records().into_iter().rfind(|record| record.name.contains("lock-commit-ok"));
    assert_eq!(committed.unwrap().predicate["unreviewed"], "direct-push");
}

#[test]
fn p23_f5_a_busy_environment_ends_with_14_and_names_who_works_on_it() {
    let shop = locked();
    shop.ok("--as dana forge pr merge 1");
    let pause = shop.pause("staging", "system");
    let first = shop.orchestrator("run staging").env("GITHUB_RUN_ID", "4711").start();
    pause.reached();
    let records = shop.story();
    for line in ["run staging", "deploy staging", "promote staging", "lock commit staging"] {
        let busy = shop.json(line, 14);
        let message = busy["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("`staging` is busy: orchestrator (run 4711, attempt 1) works on it"), "{message}");
        assert!(busy["error"]["hints"][0].as_str().unwrap().contains("--wait"), "{busy:#}");
    }
    assert_eq!(shop.story(), records, "who waits writes nothing");
    // Production is another environment: its questions are answered.
    shop.ends("verify production", 20);
    pause.release();
    first.wait().expect_code(0);
    shop.ok("run staging");
}

#[test]
fn p26_an_object_in_another_namespace_is_refused_before_any_change() {
    let shop = Shop::new();
    let service = shop.service("shop-cart");
    service.write(
        "deploy/vectors.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: vectors\n  namespace: shop-production\ndata: {}\n",
    );
    let cart = shop.new_version("shop-cart", 2, Built::Yes);
    shop.push_to_dev(&[("services/shop-cart", &cart)], "cart 2");
    shop.merge_dev_past_rules();
    let refused = shop.json("run staging", 20);
    let problem = refused["error"]["problems"][0].to_string();
    assert!(problem.contains("shop-cart") && problem.contains("shop-production"), "{refused:#}");
    assert!(problem.contains("vectors"), "{refused:#}");
    assert_eq!(shop.head("deploy/staging"), None);
    assert!(!shop.story().iter().any(|record| record == "staging deploy started"), "{:?}", shop.story());
    let tip = shop.head("staging").unwrap();
    assert_eq!(shop.status(&tip, "orchestrator/staging-proof"), "failure", "{:?}", shop.statuses(&tip));
}

#[test]
fn p4_t39_every_command_that_reads_a_lock_judges_all_of_it() {
    let shop = proven();
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    let bad = [
        ("unknown", lock.replace("version: 1\n", "version: 1\nsurprise: yes\n")),
        ("future", lock.replace("version: 1\n", "version: 2\n")),
        ("no-digest", lock.split_inclusive('\n').filter(|line| !line.trim().starts_with("digest:")).collect()),
        ("twice", lock.replace("version: 1\n", "version: 1\nversion: 1\n")),
        ("bomb", format!("a: &a [x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n{lock}")),
        ("windows", lock.replace('\n', "\r\n")),
        ("quoted", lock.replace("kind: image", "kind: \"image\"")),
    ];
    for (name, text) in &bad {
        assert_ne!(*text, lock, "{name}");
        fs::write(shop.join(&format!("{name}.yaml")), text).unwrap();
        for line in [
            format!("lock check ../{name}.yaml --rev staging"),
            format!("lock show ../{name}.yaml"),
            format!("lock diff staging ../{name}.yaml"),
            format!("lock reject ../{name}.yaml --reason bad"),
        ] {
            let refused = shop.json(&line, 10);
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(message.contains(&format!("../{name}.yaml:")), "`{line}` names file and place: {message}");
            let problem = &refused["error"]["problems"][0];
            assert_eq!(problem["file"], format!("../{name}.yaml"), "`{line}`: {refused:#}");
            assert!(problem["line"].is_u64() && problem["column"].is_u64(), "`{line}`: {refused:#}");
        }
    }
    // In the tree it stops every command of its environment.
    shop.work_on("staging").write("locks/lock.yaml", &bad[0].1);
    shop.clone_folder().commit("a lock by hand");
    shop.force("staging");
    let before = shop.untouched();
    for line in ["run staging", "deploy staging", "plan staging", "lock commit staging", "lock check --rev staging"] {
        shop.json(line, 10);
    }
    assert_eq!(shop.untouched(), before);
}

#[test]
fn p3_the_lock_of_a_release_is_archived_as_it_was_deployed() {
    let shop = released();
    let lock = shop.file("main", "locks/lock.yaml").unwrap();
    let tag = shop.superproject().git(&["tag", "--list"]);
    let message = shop.superproject().git(&["tag", "--list", "--format=%(contents)", &tag]);
    assert!(message.contains(&format!("Lock-File: {}", sha256(lock.as_bytes()))), "{message}");
    assert_eq!(fs::read(shop.join(&format!("forge/releases/{tag}/assets/lock.yaml"))).unwrap(), lock.as_bytes());
}
