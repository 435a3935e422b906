//! What a lock is made of and what it takes to read it: cases that need the binary and real repositories.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use lock_model::Lock;
use test_support::Sandbox;

use crate::refusals::refuses;
use crate::shop::{CONFIGURATION, Shop};
use crate::stops::{locked, proven, released};

fn read(text: &str) -> Lock {
    lock_model::Lock::parse(text.as_bytes(), "lock.yaml").expect("the lock is one of ours")
}

#[test]
fn b10_every_reference_that_is_deployed_has_its_tag_and_its_digest() {
    let shop = released();
    let lock = read(&shop.file("main", "locks/lock.yaml").unwrap());
    for (name, service) in lock.services() {
        let Some(image) = service.content.image() else { continue };
        let whole = format!("{}:{}@{}", image.repository, image.tag, image.digest);
        for mode in ["staging", "production"] {
            assert_eq!(shop.deployed_image(mode, name.as_str()).as_ref(), Some(&whole));
        }
    }
    let rendered = shop.superproject().git(&["grep", "--no-color", "-h", "image: ", "deploy/production"]);
    assert_eq!(rendered.lines().count(), 2);
    assert!(rendered.lines().all(|line| line.contains(":main-") && line.contains("@sha256:")), "{rendered}");
}

#[test]
fn b11_a_lock_is_understood_without_repository_network_or_any_program() {
    let shop = proven();
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    let empty = Sandbox::new();
    fs::write(empty.join("lock.yaml"), &lock).unwrap();
    let parts = {
        let mut parts = read(&lock).into_parts();
        parts.services.pop_first();
        parts
    };
    fs::write(empty.join("smaller.yaml"), Lock::new(parts).unwrap().to_yaml()).unwrap();
    let run = |arguments: &[&str]| {
        empty.orchestrator().args(arguments).current_dir(empty.path()).search_path("/nonexistent").run().expect_code(0)
    };
    let shown = run(&["lock", "show", "lock.yaml"]);
    for (name, service) in read(&lock).services() {
        assert!(
            shown.stdout().contains(name.as_str()) && shown.stdout().contains(service.git.commit.short(12)),
            "{shown}"
        );
    }
    let diff = run(&["lock", "diff", "lock.yaml", "smaller.yaml"]);
    assert!(diff.stdout().contains("is gone"), "{diff}");
}

#[test]
fn b12_a_partial_refresh_keeps_every_other_entry() {
    let shop = locked();
    let artefact = fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap();
    fs::write(shop.join("earlier.yaml"), &artefact).unwrap();
    // Both tags move; only one service is refreshed.
    let digest = |name: &str, text: &str| read(text).services()[name].content.image().unwrap().digest.to_string();
    let (cart, web) = (shop.service("shop-cart").head(), shop.service("shop-web").head());
    let rebuilt = shop.rebuild_image("shop-cart", &cart);
    shop.rebuild_image("shop-web", &web);
    let line = "lock generate --rev dev --service shop-cart --previous ../earlier.yaml";
    let refreshed = shop.ok(line).stdout().to_owned();
    assert_eq!(digest("shop-cart", &refreshed), rebuilt);
    assert_eq!(shop.ok(&line.replace("shop-cart", "cart")).stdout(), refreshed, "its short name is enough");
    let (before, after) = (read(&artefact), read(&refreshed));
    assert_eq!(after.services().len(), 3, "a lock is made whole");
    for name in ["shop-web", "shop-dashboards"] {
        assert_eq!(after.services()[name], before.services()[name], "{name} is as it was, though its tag moved");
    }
    assert_ne!(digest("shop-web", shop.ok("lock generate --rev dev").stdout()), digest("shop-web", &refreshed));
    // What moved in the tree cannot be kept: the lock would be of no tree.
    shop.bump("services/shop-web", 2);
    refuses(
        &shop,
        line,
        11,
        &["the earlier lock cannot be kept", "shop-web: is at", "name these services with `--service`"],
    );
    shop.ok(&format!("{line} --service shop-web"));
    refuses(
        &shop,
        &format!("{line} --service shop-nothing"),
        2,
        &["there is no service `shop-nothing`", "hint: the tree has: "],
    );
    refuses(&shop, "lock generate --rev dev --service shop-cart", 2, &["there is no earlier lock", "--previous"]);
}

#[test]
fn b14_b15_what_is_not_committed_is_not_read() {
    let shop = locked();
    let lines = [
        "lock generate --rev dev",
        "lock publish --pr 1",
        "images explain shop-cart --rev dev",
        "test run pull-request --pr 1",
    ];
    let answers = || -> Vec<serde_json::Value> { lines.iter().map(|line| shop.json(line, 0)).collect() };
    let without_time = |mut answers: Vec<serde_json::Value>| {
        for answer in &mut answers {
            let map = answer.as_object_mut().expect("a report is a map");
            map.retain(|key, _| !matches!(key.as_str(), "started" | "finished" | "suites" | "warnings"));
        }
        answers
    };
    let before = without_time(answers());
    // In the work tree, and in the index: another configuration, other submodules, a suite that fails, a lock.
    let clone = shop.work_on("dev");
    clone.write("orchestrator.yaml", CONFIGURATION.replace("main-{sha7}", "other-{sha7}"));
    clone.write(".gitmodules", "[submodule \"x\"]\n\tpath = services/shop-cart\n\turl = https://elsewhere.example/x\n");
    clone.write_executable("tests/check", "#!/bin/sh\nexit 1\n");
    clone.write("locks/lock.yaml", "version: 99\n");
    clone.gitlink("services/shop-cart", &clone.head());
    for staged in [false, true] {
        if staged {
            clone.git(&["add", "--all"]);
        }
        let after = answers();
        let warning = after[0]["warnings"][0].as_str().unwrap_or_default();
        assert!(warning.contains("the one in the work tree differs"), "staged: {staged}: {warning}");
        assert_eq!(without_time(after), before, "staged: {staged}");
    }
    let said = shop.ok("config check").text();
    assert!(said.contains("is fine"), "the one command that reads the work tree: {said}");
}

#[test]
fn b14_a_shallow_clone_pins_the_same() {
    let shop = locked();
    let whole = shop.json("lock generate --rev dev", 0);
    let url = format!("file://{}", shop.join("shop.git").display());
    shop.clone_folder().git(&["clone", "--quiet", "--depth", "1", "--branch", "dev", &url, "../shallow"]);
    let shallow = shop.in_root("--format json -C shallow lock generate --rev HEAD").run().expect_code(0);
    let shallow: serde_json::Value = serde_json::from_str(shallow.stdout()).unwrap();
    let shallow = &shallow["result"];
    assert_eq!(shallow["services"], whole["services"]);
    assert_eq!(shallow["lock"], whole["lock"], "where a lock comes from is no part of its id");
}

/// A `.gitmodules` in which every section tries something else.
fn hostile(canary: &str) -> Vec<(&'static str, String)> {
    vec![
        ("services/up", "[submodule \"../../up\"]\n\tpath = services/up\n\turl = ../up.git\n".to_owned()),
        ("services/hooks", "[submodule \"x/../../hooks\"]\n\tpath = services/hooks\n\turl = ../h.git\n".to_owned()),
        (
            "services/option",
            format!("[submodule \"option\"]\n\tpath = services/option\n\turl = --upload-pack={canary}\n"),
        ),
        ("services/short", format!("[submodule \"short\"]\n\tpath = services/short\n\turl = -u{canary}\n")),
        ("services/ext", format!("[submodule \"ext\"]\n\tpath = services/ext\n\turl = \"ext::sh -c {canary}\"\n")),
        (
            "services/ssh",
            format!("[submodule \"ssh\"]\n\tpath = services/ssh\n\turl = ssh://-oProxyCommand={canary}/x\n"),
        ),
        ("services/host", "[submodule \"host\"]\n\tpath = services/host\n\turl = https:///host/x.git\n".to_owned()),
        ("services/line", "[submodule \"line\"]\n\tpath = services/line\n\turl = https://h.example/%0ax\n".to_owned()),
        ("services/file", format!("[submodule \"file\"]\n\tpath = services/file\n\turl = file://{canary}\n")),
        (
            "services/update",
            format!("[submodule \"update\"]\n\tpath = services/update\n\turl = ../u.git\n\tupdate = !{canary}\n"),
        ),
        (
            "services/secret",
            "[submodule \"secret\"]\n\tpath = services/secret\n\turl = https://me:canary-word@h.example/x\n".to_owned(),
        ),
    ]
}

/// A program that leaves a mark when it runs; gives its path and the mark's.
fn canary(shop: &Shop) -> (String, std::path::PathBuf) {
    let (program, mark) = (shop.join("canary"), shop.join("canary-ran"));
    fs::write(&program, format!("#!/bin/sh\ntouch '{}'\n", mark.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program.display().to_string(), mark)
}

#[test]
fn t9_a_hostile_gitmodules_is_listed_whole_and_runs_nothing() {
    let shop = Shop::new();
    let (program, mark) = canary(&shop);
    let clone = shop.work_on("dev");
    let sections = hostile(&program);
    let text: String = sections.iter().map(|(_, section)| section.as_str()).collect();
    let commit = clone.head();
    for (path, _) in &sections {
        clone.gitlink(path, &commit);
    }
    let before = fs::read_to_string(clone.path().join(".gitmodules")).unwrap();
    clone.write(".gitmodules", before + &text);
    // A hook wherever git could look for one.
    for folder in ["shop/.git/hooks", "shop.git/hooks-of-mine"] {
        fs::create_dir_all(shop.join(folder)).unwrap();
        for hook in ["post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"] {
            fs::copy(&program, shop.join(&format!("{folder}/{hook}"))).unwrap();
        }
    }
    let head = clone.commit("hostile");
    let push = clone.try_git_with(
        &["-c", "core.hooksPath=/nonexistent", "push", "--quiet", "origin", "HEAD:dev"],
        &[("ORCHESTRATOR_AS", "dana")],
    );
    assert!(push.success(), "{push:?}");
    // The hooks work: this commit ran one.
    fs::remove_file(&mark).unwrap();
    shop.open();
    for line in [format!("lock generate --rev {head} --check-pushed"), "lock publish --pr 1 --check-pushed".to_owned()]
    {
        let refused = shop.ends(&line, 11).text();
        for (path, _) in &sections {
            assert!(refused.contains(path.rsplit('/').next().unwrap()), "{path} is not named:\n{refused}");
        }
        assert!(!refused.contains("canary-word"), "a password is shown:\n{refused}");
        assert!(!refused.contains(['\r', '\u{1b}']), "{refused:?}");
    }
    assert!(!fs::exists(&mark).unwrap(), "something ran");
    // What no reader can see ends the reading: nothing of such a file is taken.
    let text = fs::read_to_string(clone.path().join(".gitmodules")).unwrap();
    clone.write(".gitmodules", text + "[submodule \"cr\"]\n\tpath = \"services/cr\r\"\n\turl = ../cr.git\n");
    let head = clone.commit("a carriage return");
    fs::remove_file(&mark).unwrap();
    refuses(&shop, &format!("lock generate --rev {head}"), 11, &["has a hidden character (\\u{d})"]);
    assert!(!fs::exists(&mark).unwrap(), "something ran");
    assert!(!fs::exists(shop.join("shop/.git/modules")).unwrap() && !fs::exists(shop.join("up.git")).unwrap());
}

#[test]
fn t30_a_clones_configuration_runs_nothing() {
    let shop = proven();
    let cart = shop.bump("services/shop-cart", 2);
    let number = shop.open();
    let (program, mark) = canary(&shop);
    let clone = shop.clone_folder();
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.gitProxy",
        "core.pager",
        "core.editor",
        "core.alternateRefsCommand",
        "credential.helper",
        "diff.external",
        "gpg.program",
        "uploadpack.packObjectsHook",
        "filter.evil.smudge",
        "filter.evil.process",
        "remote.origin.uploadpack",
    ] {
        clone.git(&["config", key, &program]);
    }
    clone.git(&["config", "core.hooksPath", &shop.root().display().to_string()]);
    clone.write(".git/info/attributes", "* filter=evil\n");
    for hook in ["post-checkout", "reference-transaction", "pre-push", "post-index-change"] {
        fs::copy(&program, shop.join(hook)).unwrap();
    }
    for line in [
        format!("lock publish --pr {number} --check-pushed"),
        "lock generate --rev dev --check-pushed".to_owned(),
        "lock check --rev staging --check-pushed".to_owned(),
        "lock show staging".to_owned(),
        "lock diff staging staging --commits".to_owned(),
    ] {
        shop.ok(&line);
        assert!(!fs::exists(&mark).unwrap(), "`{line}` ran a program of the clone's configuration");
    }
    let artefact = fs::read_to_string(shop.join(&format!("forge/artefacts/pull-{number}/lock.yaml"))).unwrap();
    assert!(artefact.contains(&cart));
}

#[test]
fn t30_a_clone_of_another_user_is_refused() {
    let shop = locked();
    let folder = shop.join("shop");
    for path in [folder.join(".git"), folder] {
        if std::os::unix::fs::chown(path, Some(12345), Some(12345)).is_err() {
            // Only root can give a folder away.
            return;
        }
    }
    let hint = "`git config --global --add safe.directory [SANDBOX]/shop`";
    for line in ["lock generate --rev dev", "lock check", "lock publish --pr 1"] {
        refuses(&shop, line, 11, &["belongs to another user", hint]);
    }
}
