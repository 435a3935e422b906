//! helm says that all went well, and something else happened.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use test_support::Cluster;

use crate::clusters::{ClusterShop, SERVES};

impl ClusterShop<'_> {
    /// Puts a script before helm, which may answer by itself; `HELM` in it is the real one.
    fn lie(&self, script: &str) {
        let program = self.shop.join("tools/helm");
        let real = self.shop.join("tools/real-helm");
        if !real.exists() {
            fs::rename(&program, &real).unwrap();
        }
        let script =
            format!("#!/bin/sh\n{script}\nexec HELM \"$@\"\n").replace("HELM", &format!("'{}'", real.display()));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// A real upgrade, not one that is only tried.
const IS_UPGRADE: &str = r#"case "$*" in *--dry-run*) ;; *upgrade*)"#;

#[track_caller]
fn is_not_believed(helm: &str) {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, helm) else { return };
    let first = staging.merge(2, SERVES);
    let other = format!("{IS_UPGRADE} exec HELM \"$@\" --set image.tag=latest@{first};; esac");
    for (lie, code, told) in [
        ("case $1 in template) exit 0;; esac", 20, "is rendered differently each time: Deployment/shop-cart"),
        (r#"case "$*" in "template "*|*--dry-run*) exit 0;; esac"#, 20, "shop-cart: helm prints no JSON"),
        (&format!("{IS_UPGRADE} exit 0;; esac"), 21, "helm has stored no revision"),
        (&other, 21, "what helm stored is not what was planned: `spec.template.spec.containers[0].image`"),
    ] {
        staging.lie(lie);
        let refused = staging.ends("run staging", code);
        assert!(refused.text().contains(told), "{lie}: {}", refused.text());
        assert_ne!(staging.command(&[], "verify staging").run().code(), Some(0), "{lie}");
    }
    staging.lie("");
    staging.ends("run staging", 0);
    assert_eq!(staging.running(), [first]);
}

#[test]
fn t15_a_helm_3_that_reports_success_for_something_else_is_not_believed() {
    is_not_believed("helm3");
}

#[test]
fn t15_a_helm_4_that_reports_success_for_something_else_is_not_believed() {
    is_not_believed("helm4");
}
