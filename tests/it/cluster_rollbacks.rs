//! What a rollback after a failed deployment leaves as it is, and names.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::Cluster;

use crate::cluster_keys::WEB;
use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, Deployment, SERVES, SERVICE, hook_job};

const API: &str = "services/shop-api";
const LATE: &str = "services/shop-late";
const SERVICES: [&str; 3] = [DASHBOARDS, SERVICE, WEB];
const MORE_SERVICES: [&str; 5] = [DASHBOARDS, SERVICE, WEB, API, LATE];

const PLAIN: &str = r#"target: { kind: apply, source: "{path}/cluster" }"#;

const CRASHES: &[&str] = &["sh", "-c", "exit 3"];

impl ClusterShop<'_> {
    /// A version of a service, for both targets.
    fn commit_app(&self, path: &str, version: u32, command: &[&str]) {
        self.commit_with_job(path, version, command, "");
    }

    /// The same with a Job that migrates its data: a hook at these events in a chart, a manifest else; none where it has none.
    fn commit_with_job(&self, path: &str, version: u32, command: &[&str], events: &str) {
        let name = path.rsplit('/').next().unwrap();
        let job = if events.is_empty() { String::new() } else { hook_job(events, "true") };
        let plain = job.replace("{{ .Release.Name }}", name);
        let plain = plain.replace("{{ .Values.image.repository }}:{{ .Values.image.tag }}", "IMAGE:latest");
        let plain = Deployment::plain(name).yaml().to_owned() + &plain.replace("helm.sh/hook", "shop.example/hook");
        let chart = format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n");
        let files = [
            ("cluster/app.yaml", plain.as_str()),
            ("chart/Chart.yaml", &chart),
            ("chart/templates/app.yaml", DEPLOYMENT),
            ("chart/templates/job.yaml", &job),
        ];
        self.commit_files(path, version, command, &files);
    }

    fn image_of(&self, name: &str) -> String {
        let image = "--output=jsonpath={.spec.template.spec.containers[0].image}";
        self.kubectl(&["get", &format!("deployment/{name}"), image])
    }

    /// The failed release brought a service that the one before does not have; `command` is what its other service runs.
    #[track_caller]
    fn goes_back_without_a_new_service(&self, command: &[&str]) {
        self.commit_app(SERVICE, 2, SERVES);
        self.commit_app(WEB, 2, SERVES);
        self.reconfigure("deploy: [\"services/*\"]", "deploy: [services/shop-cart]");
        self.ends("run staging", 0);
        let before = self.image_of("shop-cart");
        self.commit_app(SERVICE, 3, command);
        self.reconfigure("deploy: [services/shop-cart]", "deploy: [\"services/*\"]");
        // Half of the time is left to the rollback: what never gets ready is not waited for until the deadline.
        let begun = Instant::now();
        let failed = self.ends("run staging --deadline 40s --on-failure rollback", 21);
        assert!(begun.elapsed() < Duration::from_secs(32), "{:?}", begun.elapsed());
        for told in ["is back but for what is named here", "`shop-web`: it is not deployed here any more"] {
            assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
        }
        assert_eq!(self.image_of("shop-cart"), before);
        let status = self.ends("status staging", 0);
        assert!(!status.text().contains("rollback"), "{}", status.text());
    }

    /// Nothing but a service with a migration is different: it stays, and nothing is recorded, held or changed.
    #[track_caller]
    fn stays_where_nothing_else_changed(&self) {
        let before = self.image_of("shop-cart");
        self.commit_app(SERVICE, 3, CRASHES);
        self.shop.merge_dev();
        let failed = self.ends("run staging --on-failure rollback", 21);
        for told in [
            "nothing of `staging` goes back to ",
            " by itself: what is different has a migration",
            "has migrated its data to commit ",
            " --accept-irreversible --reason …` takes services with a migration back as well",
        ] {
            assert!(failed.text().contains(told), "`{told}` is not in:\n{}", failed.text());
        }
        assert_ne!(self.image_of("shop-cart"), before);
        self.commit_app(SERVICE, 4, SERVES);
        self.shop.merge_dev();
        self.ends("run staging", 0);
    }

    /// One service crashes, one is behind an irreversible migration, one behind another, as `why` tells, and one would be in a wave
    /// that does not begin.
    #[track_caller]
    fn goes_back_but_for_migrations(&self, why: &str) {
        let services = &MORE_SERVICES[1..];
        for path in services {
            self.commit_app(path, 2, SERVES);
        }
        self.shop.merge_dev();
        self.ends("run staging", 0);
        self.stays_where_nothing_else_changed();
        let images = || services.iter().map(|path| self.image_of(path.rsplit('/').next().unwrap())).collect::<Vec<_>>();
        let before = images();
        self.commit_app(SERVICE, 5, SERVES);
        self.commit_app(WEB, 3, CRASHES);
        self.commit_with_job(API, 3, SERVES, "pre-upgrade");
        self.commit_with_job(LATE, 3, SERVES, "pre-upgrade");
        self.shop.merge_dev();
        let failed = self.ends("run staging --on-failure rollback -o json", 21);
        let document: Value = serde_json::from_str(failed.stdout()).unwrap();
        for told in [
            "is back but for what is named here",
            "`shop-cart` is not rolled back, since its migration is irreversible: release ",
            "`shop-api` is not rolled back, since it has a migration: release ",
            why,
            " --accept-irreversible --reason …` takes services with a migration back as well",
        ] {
            assert!(document["error"]["hints"].to_string().contains(told), "`{told}` is not in:\n{document:#}");
        }
        let stay = document["error"]["not_rolled_back"].as_array().unwrap();
        let stay: Vec<Value> = stay.iter().map(|one| json!([one["service"], one["cause"]])).collect();
        assert_eq!(stay, [json!(["shop-cart", "irreversible_migration"]), json!(["shop-api", "migration"])]);
        let after = images();
        let is_back: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
        assert_eq!(is_back, [false, true, false, true], "{after:?}");
        let history = self.ends("history staging -o json", 0);
        assert!(
            history.text().contains("(not rolled back behind migrations: shop-api, shop-cart)"),
            "{}",
            history.text()
        );
        // What runs is not the release that is recorded, and everything says so.
        let verified = self.ends("verify staging", 1);
        for (name, is_found) in [("shop-cart", true), ("shop-api", true), ("shop-web", false), ("shop-late", false)] {
            assert_eq!(verified.text().contains(name), is_found, "{name}: {}", verified.text());
        }
        let status = self.ends("status staging", 0);
        assert!(!status.text().contains("proven (running)"), "{}", status.text());
        // A person's rollback is refused for the irreversible one alone, and its plan marks the others.
        let refused = self.ends("rollback staging --reason \"carts too\"", 20);
        assert!(refused.text().contains("irreversible") && !refused.text().contains("shop-api"), "{}", refused.text());
        let all = "rollback staging --accept-irreversible --reason \"carts too\"";
        let plan = self.ends(&format!("{all} --dry-run -o json"), 0);
        let plan: Value = serde_json::from_str(plan.stdout()).unwrap();
        let marks = [("shop-api", false), ("shop-cart", true), ("shop-late", false)];
        let marks = marks.map(|(name, irreversible)| json!({ "service": name, "irreversible": irreversible }));
        assert_eq!(plan["result"]["migrations"], json!(marks), "{plan:#}");
        self.ends(all, 0);
        assert_eq!(images(), before);
        self.ends("verify staging", 0);
    }
}

const ONE: &str = "\n  tolerance: { restarts: 1 }";
const MIGRATES: &str = "\n  tolerance: { restarts: 1 }\n  waves: [\"**\", shop-late]\n  migrations: \
     [{ match: services/shop-cart, irreversible: true }]";

#[test]
fn r1_a_chart_that_came_with_a_failed_release_keeps_nothing_from_going_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &SERVICES, ONE) else { return };
    staging.goes_back_without_a_new_service(CRASHES);
}

#[test]
fn r1_manifests_that_came_with_a_failed_release_keep_nothing_from_going_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::without_helm(cluster, &SERVICES, &format!("{PLAIN}{ONE}")) else { return };
    staging.goes_back_without_a_new_service(&["sleep", "600"]);
}

#[test]
fn r1_a_chart_with_a_migration_stays_and_the_others_go_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::with_or_skip(cluster, "helm4", &MORE_SERVICES, MIGRATES) else { return };
    staging.goes_back_but_for_migrations(" has Job/shop-api-migrate, whose label calls it a migration");
}

#[test]
fn r1_manifests_with_a_migration_stay_and_the_others_go_back() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let keys = MIGRATES.replace("[{ match: services", "[{ match: shop-api }, { match: services");
    let Some(staging) = ClusterShop::without_helm(cluster, &MORE_SERVICES, &format!("{PLAIN}{keys}")) else { return };
    staging.goes_back_but_for_migrations("has migrated its data to commit ");
}
