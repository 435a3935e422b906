use lock_model::{Content, CreatedFrom, Lock, LockParts, LockedManifests, Origin, Revision, ThirdPartySource};

use crate::sample::{digest, golden, golden_parts};

/// The test vector of the format's definition: another implementation computes the same.
const VECTOR: &str = "sha256:faa0e272113ea0460f931dac82b59d0e7bffc663e33a80d8fa512896fa7ef92e";

type Case = (&'static str, fn(&mut LockParts));

fn id_after(change: impl FnOnce(&mut LockParts)) -> String {
    let mut parts = golden_parts();
    change(&mut parts);
    Lock::new(parts).unwrap().id().to_string()
}

#[test]
fn b13_the_id_is_the_digest_of_the_canonical_content() {
    assert_eq!(golden().id().as_str(), VECTOR);
}

#[test]
fn b13_descriptions_do_not_change_the_id() {
    let same: [Case; 7] = [
        ("source", |parts| parts.source.pull_request = None),
        ("url", |parts| cart(parts).git.url = "https://elsewhere.example/cart".parse().unwrap()),
        ("platforms", |parts| image(parts).platforms.clear()),
        ("created", |parts| image(parts).created_from = CreatedFrom::Commit),
        ("revision", |parts| image(parts).revision = Revision::Proven),
        ("metadata", |parts| cart(parts).metadata = None),
        ("origin", |parts| cart(parts).origin = Origin::Migrated),
    ];
    for (what, change) in same {
        assert_eq!(id_after(change), VECTOR, "{what}");
    }
}

#[test]
fn what_is_pinned_changes_the_id() {
    let other: [Case; 8] = [
        ("sha", |parts| cart(parts).git.commit = "f".repeat(40).parse().unwrap()),
        ("path", |parts| cart(parts).path = "apps/cart".parse().unwrap()),
        ("digest", |parts| image(parts).digest = digest('f')),
        ("tag", |parts| image(parts).tag = "main-2222222".parse().unwrap()),
        ("kind", |parts| cart(parts).content = Content::Configuration),
        ("service", |parts| drop(parts.services.remove("grafana"))),
        ("third party", |parts| parts.third_party.clear()),
        ("manifests", |parts| {
            parts.third_party.get_mut("redis").unwrap().source = ThirdPartySource::Manifests(LockedManifests::new(
                "grafana".parse().unwrap(),
                "redis.yaml".parse().unwrap(),
                digest('4'),
            ));
        }),
    ];
    let mut ids = std::collections::BTreeSet::from([VECTOR.to_owned()]);
    for (what, change) in other {
        assert!(ids.insert(id_after(change)), "{what} gives an id that another lock has");
    }
}

fn cart(parts: &mut LockParts) -> &mut lock_model::Service {
    parts.services.get_mut("cart").unwrap()
}

fn image(parts: &mut LockParts) -> &mut lock_model::LockedImage {
    match &mut cart(parts).content {
        Content::Image(image) => image,
        Content::Configuration => panic!("the cart has an image"),
    }
}

#[test]
fn words_of_the_lock_are_parsed_as_they_are_displayed() {
    for word in ["proven", "self-asserted", "mismatch", "absent", "unchecked"] {
        assert_eq!(word.parse::<Revision>().unwrap().to_string(), word);
    }
    for word in ["config", "annotation", "commit"] {
        assert_eq!(word.parse::<CreatedFrom>().unwrap().to_string(), word);
    }
    for word in ["resolved", "migrated"] {
        assert_eq!(word.parse::<Origin>().unwrap().to_string(), word);
    }
    assert_eq!(
        "Proven".parse::<Origin>().unwrap_err().to_string(),
        "`Proven` is not a valid origin: one of `resolved` `migrated`"
    );
}
