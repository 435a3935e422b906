//! The whole way, from a pull request to a rollback, with a real registry beside the layout folder.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use test_support::{DockerRegistry, Skopeo, workspace};

use crate::shop::{Built, CONFIGURATION, Shop};
use crate::stops::{read_json, sha256};

/// The steps of a report, as `STEP RESULT`.
pub(crate) fn steps(report: &Value) -> Vec<String> {
    let steps = report["steps"].as_array().expect("a run reports its steps");
    let word = |value: &Value| value.as_str().expect("a step is complete").to_owned();
    steps.iter().map(|step| format!("{} {}", word(&step["step"]), word(&step["result"]))).collect()
}

/// Copies every image of the shop's layout folder to the registry, as the CI of the services would have pushed them.
pub(crate) fn push_all(shop: &Shop, skopeo: &Skopeo, registry: &DockerRegistry) {
    for entry in read_json(&shop.join("registry/index.json"))["manifests"].as_array().expect("a layout has an index") {
        let reference = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().expect("each has a name");
        let to = reference.strip_prefix("registry.example/").expect("the shop has one registry");
        skopeo.push_layout(&shop.join("registry"), reference, registry, to);
    }
}

/// Makes an index out of a service's image, with an attestation beside it, as build tools do.
fn make_index(layout: &Path, repository: &str) {
    let path = layout.join("index.json");
    let mut top = read_json(&path);
    let entries = top["manifests"].as_array_mut().expect("a layout has an index");
    let entry = entries
        .iter_mut()
        .find(|entry| {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
            name.is_some_and(|name| name.starts_with(&format!("{repository}:")))
        })
        .expect("the image is there");
    let mut image = entry.clone();
    image.as_object_mut().expect("an entry is a map").remove("annotations");
    let mut attestation = image.clone();
    image["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    attestation["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    let media_type = "application/vnd.oci.image.index.v1+json";
    // The attestation first: whoever takes "the first manifest" takes the wrong one.
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [attestation, image] }).to_string();
    let digest = sha256(index.as_bytes());
    fs::write(layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:")), &index).unwrap();
    entry["mediaType"] = media_type.into();
    entry["digest"] = digest.into();
    entry["size"] = index.len().into();
    fs::write(&path, top.to_string()).unwrap();
}

#[test]
fn b31_a_script_tells_nothing_to_do_from_changes_and_both_from_a_failure() {
    let shop = Shop::new();
    shop.merge_dev();
    shop.ok("lock commit staging");
    let changes = |line: &str, code: i32| shop.json(line, code)["changes"].as_array().unwrap().len();
    assert!(changes("plan staging", 0) > 0);
    shop.ok("run staging");
    assert_eq!((changes("plan staging", 0), changes("drift staging", 0)), (0, 0));
    // An edit of what is deployed: a finding, and what the next deployment would change.
    let clone = shop.work_on("deploy/staging");
    let files = clone.git(&["ls-files", "*.yaml"]);
    let file = files.lines().find(|file| *file != "release.yaml").unwrap();
    clone.write(file, clone.read("HEAD", file).unwrap() + "# by hand\n");
    clone.commit("by hand");
    let clone = shop.join("shop");
    // Past the rules of the forge.
    shop.superproject().git(&["fetch", "--quiet", clone.to_str().unwrap(), "+HEAD:refs/heads/deploy/staging"]);
    assert!(changes("drift staging", 1) > 0);
    // What could not be found out is neither.
    shop.ends("plan nowhere", 2);
}

#[test]
fn p1_p2_p9_p13_p24_t14_from_a_pull_request_to_a_rollback_with_a_real_registry() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let folder = Shop::new();
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &registry.url()));
    for made in [&folder, &shop] {
        make_index(&made.join("registry"), "registry.example/shop/web");
    }
    push_all(&shop, &skopeo, &registry);

    // The lock: every digest is what an independent client finds in the registry, and what the bytes hash to.
    assert_eq!(shop.open(), 1);
    let published = shop.json("lock publish --pr 1", 0);
    let services = published["services"].as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["shop-cart", "shop-dashboards", "shop-web"]);
    for (service, repository) in [("shop-cart", "shop/cart"), ("shop-web", "shop/web")] {
        let image = &services[service]["image"];
        let name = format!("{repository}:{}", image["tag"].as_str().unwrap());
        let digest = image["digest"].as_str().unwrap();
        assert_eq!(digest, skopeo.digest(&registry, &name), "{service}");
        assert_eq!(digest, sha256(&skopeo.manifest(&registry, &name)), "{service}");
        let platform = image["platforms"]["linux/amd64"].as_str().unwrap();
        assert_eq!(platform, sha256(&skopeo.manifest(&registry, &format!("{repository}@{platform}"))), "{service}");
        assert_eq!(service == "shop-web", platform != digest, "{service}: an index has its platforms below it");
    }
    // Where the images come from is no part of a lock's identity: the layout folder gives the same.
    assert_eq!(folder.json("lock generate --rev dev", 0)["lock"], published["lock"]);

    // Staging: one command, every step, and the lock of the pull request byte for byte.
    shop.ok("test run pull-request --pr 1");
    shop.ok("--as dana forge pr merge 1");
    let staged = shop.json("run staging", 0);
    assert_eq!(
        steps(&staged),
        [
            "lock-commit ok",
            "gates ok",
            "health ok",
            "deploy ok",
            "verify ok",
            "suite system ok",
            "proof ok",
            "promote ok"
        ]
    );
    assert_eq!(staged["lock"], published["lock"]);
    assert_eq!(staged["release"], published["release"], "the release of the comment is the one that is deployed");
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    assert_eq!(lock, fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap());
    let schema = fs::read_to_string(workspace().join("schemas/lock.schema.json")).unwrap();
    assert_eq!(shop.file("staging", "locks/schema.json").unwrap(), schema);
    assert_eq!(shop.file("staging", "locks/.gitattributes").unwrap(), "* -text\n");
    shop.ok("lock check --rev staging");

    // Production: the same bytes and the same images, a release, its tag on the commit that is deployed.
    shop.approve_and_merge(2);
    let produced = shop.json("run production", 0);
    assert_eq!(
        steps(&produced),
        ["gates ok", "health ok", "deploy ok", "verify ok", "suite smoke ok", "proof ok", "release ok"]
    );
    assert_eq!((&produced["lock"], &produced["release"]), (&staged["lock"], &staged["release"]));
    assert_eq!(shop.file("main", "locks/lock.yaml").unwrap(), lock);
    let first_images = images(&shop, "production");
    assert_eq!(first_images, images(&shop, "staging"));
    for (service, image) in ["shop-cart", "shop-web"].into_iter().zip(&first_images) {
        let locked = &services[service]["image"];
        let word = |key: &str| locked[key].as_str().unwrap();
        assert_eq!(*image, format!("{}:{}@{}", word("repository"), word("tag"), word("digest")));
    }
    let id8 = &staged["release"].as_str().unwrap()["sha256:".len()..][..8];
    let first_tag = format!("release-2026-01-05-{id8}");
    assert_eq!(tags(&shop), [first_tag.as_str()]);
    assert_eq!(shop.superproject().rev(&format!("{first_tag}^{{commit}}")), shop.head("main").unwrap());
    assert_eq!(fs::read_to_string(shop.join(&format!("forge/releases/{first_tag}/assets/lock.yaml"))).unwrap(), lock);

    // A second train, a second release.
    let cart = shop.new_version("shop-cart", 2, Built::Yes);
    push_all(&shop, &skopeo, &registry);
    shop.push_to_dev(&[("services/shop-cart", &cart)], "cart 2");
    assert_eq!(shop.merge_dev(), 3);
    let next = |environment: &str| shop.json(&format!("status {environment}"), 0)["environments"][0]["next"].clone();
    assert_eq!(next("staging"), serde_json::json!({ "do": "run" }), "its lock is not made yet");
    let second = shop.json("run staging", 0);
    assert_ne!(second["release"], staged["release"]);
    shop.approve_and_merge(4);
    assert_eq!(next("production"), serde_json::json!({ "do": "run", "release": second["release"] }));
    assert_eq!(shop.json("run production", 0)["release"], second["release"]);
    assert_eq!(next("production")["do"], "nothing");
    assert_eq!(tags(&shop).len(), 2);
    let second_images = images(&shop, "production");
    assert_ne!(second_images[0], first_images[0]);
    assert_eq!(second_images[1], first_images[1]);

    // Back: the older release from its own commit, and nothing goes on until somebody lifts the hold.
    let back = shop.json("rollback production --reason trouble", 0);
    assert_eq!(back["release"], staged["release"]);
    assert_eq!(steps(&back).last().unwrap(), "rollback ok");
    assert_eq!(images(&shop, "production"), first_images);
    let held = shop.json("run production", 20);
    assert_eq!(steps(&held), ["gates refused"]);
    assert!(held["steps"][0]["detail"].as_str().unwrap().contains("unhold production"), "{held:#}");
    let lifted = shop.json("unhold production --reason \"the trouble is over\"", 0);
    let left = lifted["next"]["refused"]["release"].as_str().unwrap().trim_start_matches("sha256:")[..8].to_owned();
    shop.ends("run production", 20);
    shop.ok(&format!("unhold production --accept {left} --reason \"it was the network\""));

    // Forward again: a new cycle of the second release, which has its tag already.
    let forward = shop.json("run production", 0);
    assert_eq!(forward["release"], second["release"]);
    assert!(steps(&forward).contains(&"deploy ok".to_owned()), "{forward:#}");
    assert_eq!(images(&shop, "production"), second_images);
    assert_eq!(tags(&shop).len(), 2);
    shop.ok("verify production");

    // The ledger is the whole story, and one chain.
    let records = shop.records();
    for (before, after) in records.iter().zip(&records[1..]) {
        assert_eq!(after.predicate["previous"], before.digest.as_str(), "{}", after.name);
    }
    let history = shop.json("history", 0);
    assert_eq!(history["records"].as_array().unwrap().len(), records.len());
    let none = shop.ok("history --since 2099-01-01").stdout().to_owned();
    assert_eq!(none, format!("the ledger has {} records, and none of these\n", records.len()));
}

/// What an environment's branch runs, by service.
fn images(shop: &Shop, mode: &str) -> Vec<String> {
    ["shop-cart", "shop-web"].iter().map(|service| shop.deployed_image(mode, service).unwrap()).collect()
}

fn tags(shop: &Shop) -> Vec<String> {
    shop.superproject().git(&["tag", "--list"]).lines().map(str::to_owned).collect()
}
