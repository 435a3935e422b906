//! `config check` finds the superproject from any folder, and judges the work tree or a commit.

use std::fs;
use std::process::Command;

use orchestrator::report::v1::ConfigCheckReport;
use orchestrator::{Error, ErrorKind, check_config};

use crate::shop::{CONFIGURATION, Shop, fails};

const TODAY: &str = "2025-11-20";

fn git(shop: &Shop, folder: &str, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=Ana", "-c", "user.email=ana@shop.example"]).args(arguments);
    let ran = git.current_dir(shop.join(folder)).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn check(shop: &Shop, folder: &str, revision: Option<&str>) -> Result<ConfigCheckReport, Error> {
    check_config(&shop.join(folder), revision, None, &shop.surroundings(), TODAY.parse().unwrap())
}

#[test]
fn the_tree_is_judged_from_every_folder_as_it_lies_there_or_in_a_commit() {
    let shop = Shop::new();
    git(&shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", "clone"]);
    fs::create_dir_all(shop.join("clone/ops/deep")).unwrap();
    for folder in ["clone", "clone/ops/deep", "clone/tests"] {
        let report = check(&shop, folder, None).unwrap();
        assert!(report.not_judged.is_empty() && report.service_rules == 2, "{folder}: {report:?}");
        assert!(check(&shop, folder, Some("HEAD")).unwrap().not_judged.is_empty(), "{folder}");
    }
    // What lies in the work tree counts, committed or not.
    let wanted =
        CONFIGURATION.replace("suites:\n  lint:", "suites:\n  web: { kind: http, file: tests/web.yaml }\n  lint:");
    fs::write(shop.join("clone/orchestrator.yaml"), &wanted).unwrap();
    let error = fails(check(&shop, "clone/ops/deep", None), ErrorKind::Usage);
    assert!(
        error.message().contains("orchestrator.yaml:16:28")
            && error.message().contains("`tests/web.yaml` is not in the tree"),
        "{error}"
    );
    fs::write(shop.join("clone/tests/web.yaml"), "requests: []\n").unwrap();
    check(&shop, "clone", None).unwrap();
    git(&shop, "clone", &["commit", "--quiet", "--all", "--message", "a suite without its file"]);
    let error = fails(check(&shop, "clone", Some("HEAD")), ErrorKind::Usage);
    assert!(error.message().contains("`tests/web.yaml` is not in the tree"), "{error}");
    // The submodules of the index, and a link in the way.
    git(&shop, "clone", &["rm", "--quiet", "--cached", "ops/shop-dashboards"]);
    fs::remove_dir_all(shop.join("clone/tests")).unwrap();
    std::os::unix::fs::symlink("ops", shop.join("clone/tests")).unwrap();
    let error = fails(check(&shop, "clone", None), ErrorKind::Usage);
    let text = error.message();
    assert!(
        text.contains("pattern `ops/*` matches no submodule") && text.contains("`tests/check` is a symbolic link"),
        "{text}"
    );
}

#[test]
fn a_status_that_the_forge_requires_needs_a_suite() {
    let shop = Shop::with(&CONFIGURATION.replace("mode: pr, suites: [lint] }", "mode: pr, suites: [] }"));
    git(&shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", "clone"]);
    let error = fails(check(&shop, "clone", None), ErrorKind::Usage);
    assert!(
        error.message().contains("the forge merges nothing into `staging` without the status of its suites"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_at_the_top_of_a_work_tree_is_judged_alone() {
    let shop = Shop::new();
    git(&shop, ".", &["clone", "--quiet", "--branch=dev", "shop.git", "clone"]);
    let kubeconfig = "mode: staging\n    kubeconfig: { env: KC, allow: { exec: [aws], variables: [AWS_PROFILE] } }\n";
    for folder in ["alone", "clone/inner"] {
        fs::create_dir_all(shop.join(folder)).unwrap();
        let configuration = CONFIGURATION.replace("mode: staging\n", kubeconfig);
        fs::write(shop.join(folder).join("orchestrator.yaml"), configuration).unwrap();
        let report = check(&shop, folder, None).unwrap();
        assert_eq!(report.not_judged.len(), 1, "{folder}");
        assert!(["AWS_PROFILE", "KC"].iter().all(|name| report.environment_variables.iter().any(|one| one == name)));
    }
}
