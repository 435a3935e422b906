//! What images are taken and which are refused: each scenario on the wire and in a layout folder.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lock_model::{CreatedFrom, Digest, ErrorClass, ImageReference, Platform, Revision, Timestamp};
use registry::layout::{Blob, ImageContent, IndexContent, LayoutWriter};
use registry::media_type::{DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use registry::{
    AttemptOutcome, CREATED_ANNOTATION, Event, ImageRequest, REVISION_LABEL, Resolution, RevisionPolicy,
    UnresolvedReason, Warning, overall_class,
};
use serde_json::{Value, json};

use crate::support::{
    Fake, OURS, Store, THEIRS, commit, document, image, on_layout, options, platform, reference, repository, request,
    resolve, soon, tag, time,
};

fn parsed(blob: &Blob) -> Value {
    serde_json::from_slice(&blob.bytes).unwrap()
}

fn date(found: &Resolution) -> Option<(Timestamp, CreatedFrom)> {
    found.image.created.map(|created| (created.time, created.from))
}

#[tokio::test]
async fn b1_an_image_for_one_platform_is_its_own_platform() {
    let built = image("linux/amd64").build();
    let found = Store::default().image("main-1111111", &built).resolves(&request(&["main-1111111"])).await;
    assert_eq!(found.image.digest, built.manifest.digest);
    assert_eq!(found.image.platforms, BTreeMap::from([(platform("linux/amd64"), built.manifest.digest)]));
    assert_eq!(date(&found), Some((time("2025-11-20T21:14:07Z"), CreatedFrom::Config)));
    assert_eq!(found.image.tag, Some(tag("main-1111111")));
    assert!(found.warnings.is_empty());
}

#[tokio::test]
async fn t6_a_label_is_the_builders_word() {
    let store = Store::default().image("a", &image("linux/amd64").build());
    let found = store.resolves(&request(&["a"])).await;
    assert_eq!(found.image.revision, Revision::SelfAsserted, "never more than that without an attestation");
}

#[tokio::test]
async fn b46_attestations_are_no_platforms() {
    let index = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).attestations().build();
    let mut wanted = request(&["a"]);
    wanted.platforms = vec![platform("linux/arm64"), platform("linux/amd64")];
    let found = Store::default().index("a", &index).resolves(&wanted).await;
    assert_eq!(found.image.digest, index.index.digest);
    let platforms: BTreeMap<Platform, _> =
        index.images.iter().map(|image| (image.platform.clone(), image.manifest.digest.clone())).collect();
    assert_eq!(found.image.platforms, platforms);

    wanted.platforms.clear();
    assert_eq!(Store::default().index("a", &index).resolves(&wanted).await.image.platforms, platforms);
}

#[tokio::test]
async fn b46_an_index_of_attestations_alone_is_no_image() {
    let index = IndexContent::new([image("linux/amd64")]).attestations().build();
    let mut value = parsed(&index.index);
    value["manifests"].as_array_mut().unwrap().pop();
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    let mut wanted = request(&["a"]);
    assert_eq!(
        store.refuses(&wanted).await.reason.to_string(),
        "`registry.example/shop/cart:a`: no image for `linux/amd64`; there is none for any platform"
    );
    wanted.platforms.clear();
    let text = store.refuses(&wanted).await.reason.to_string();
    assert!(text.ends_with("not an image: an index without an image for any platform"), "{text}");
}

#[tokio::test]
async fn b47_a_required_platform_must_be_there() {
    let index = IndexContent::new([image("linux/arm64"), image("linux/arm/v7")]).build();
    let store = Store::default().index("index", &index).image("single", &image("linux/arm64").build());
    let unresolved = store.refuses(&request(&["index"])).await;
    assert_eq!(unresolved.class(), ErrorClass::NotFound);
    assert_eq!(
        unresolved.reason.to_string(),
        "`registry.example/shop/cart:index`: no image for `linux/amd64`; there is `linux/arm/v7`, `linux/arm64`"
    );
    let unresolved = store.refuses(&request(&["single"])).await;
    assert_eq!(
        unresolved.reason.to_string(),
        "`registry.example/shop/cart:single`: no image for `linux/amd64`; there is `linux/arm64`"
    );
}

#[tokio::test]
async fn t34_variants_are_told_apart() {
    let v6 = image("linux/arm/v6").build();
    let v7 = image("linux/arm/v7").build();
    let index = IndexContent::new([image("linux/arm/v6"), image("linux/arm/v7"), image("linux/arm64/v8")]).build();
    let store = Store::default().index("a", &index);
    let mut wanted = request(&["a"]);
    wanted.platforms = vec![platform("linux/arm/v6"), platform("linux/arm"), platform("linux/arm64")];
    let found = store.resolves(&wanted).await;
    assert_eq!(found.image.platforms[&platform("linux/arm/v6")], v6.manifest.digest);
    assert_eq!(found.image.platforms[&platform("linux/arm")], v7.manifest.digest);
    assert_eq!(found.image.platforms[&platform("linux/arm64")], index.images[2].manifest.digest);
    wanted.platforms = vec![platform("linux/arm/v5")];
    assert_eq!(store.refuses(&wanted).await.class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn t34_two_entries_for_one_platform_are_refused() {
    let other = image("linux/amd64").label("which", "other");
    let index = IndexContent::new([image("linux/amd64"), other]).attestations().build();
    let unresolved = Store::default().index("a", &index).refuses(&request(&["a"])).await;
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    let text = unresolved.reason.to_string();
    assert!(text.contains("more than one image for `linux/amd64`"), "{text}");
    for image in &index.images {
        assert!(text.contains(image.manifest.digest.as_str()), "{text}");
    }
}

#[tokio::test]
async fn t34_the_same_entry_twice_is_one() {
    let index = IndexContent::new([image("linux/amd64")]).build();
    let mut value = parsed(&index.index);
    let twice = value["manifests"][0].clone();
    value["manifests"].as_array_mut().unwrap().push(twice);
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    let found = store.resolves(&request(&["a"])).await;
    assert_eq!(found.image.platforms[&platform("linux/amd64")], index.images[0].manifest.digest);
}

#[tokio::test]
async fn t34_an_entry_without_a_platform_is_read_from_its_configuration() {
    let index = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).attestations().build();
    let mut value = parsed(&index.index);
    for entry in value["manifests"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("platform");
    }
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    let mut wanted = request(&["a"]);
    wanted.platforms = vec![platform("linux/amd64"), platform("linux/arm64")];
    let found = store.resolves(&wanted).await;
    for (at, name) in ["linux/amd64", "linux/arm64"].into_iter().enumerate() {
        assert_eq!(found.image.platforms[&platform(name)], index.images[at].manifest.digest);
    }
    wanted.platforms = vec![platform("linux/s390x")];
    assert_eq!(store.refuses(&wanted).await.class(), ErrorClass::NotFound);

    let entries = value["manifests"].as_array_mut().unwrap();
    let silent = entries.last().unwrap().clone();
    entries.extend(vec![silent; 16]);
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    let text = store.refuses(&request(&["a"])).await.reason.to_string();
    assert!(text.contains("18 entries that name no platform"), "{text}");
}

#[tokio::test]
async fn t34_a_missing_child_is_refused() {
    let index = IndexContent::new([image("linux/amd64")]).build();
    let child = &index.images[0];
    let store = Store::default().index("a", &index);
    let unresolved = store.clone().without(&child.manifest.digest).refuses(&request(&["a"])).await;
    assert_eq!(unresolved.class(), ErrorClass::NotFound);
    let text = unresolved.reason.to_string();
    assert!(
        text.ends_with(&format!("its manifest for `linux/amd64` `{}` is missing", child.manifest.digest)),
        "{text}"
    );
    let unresolved = store.without(&child.config.digest).refuses(&request(&["a"])).await;
    let text = unresolved.reason.to_string();
    assert!(text.ends_with(&format!("its configuration `{}` is missing", child.config.digest)), "{text}");
}

#[tokio::test]
async fn t34_an_index_that_lies_about_a_platform_is_refused() {
    let index = IndexContent::new([image("linux/arm64")]).build();
    let mut value = parsed(&index.index);
    value["manifests"][0]["platform"]["architecture"] = json!("amd64");
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    let unresolved = store.refuses(&request(&["a"])).await;
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    let text = unresolved.reason.to_string();
    assert!(text.ends_with("says that it is for `linux/arm64`"), "{text}");
}

#[tokio::test]
async fn t33_lies_about_type_and_size_are_refused() {
    let built = image("linux/amd64").build();
    let index = IndexContent::new([image("linux/amd64")]).build();
    let manifest = parsed(&built.manifest);
    let base = Store::default().index("good", &index);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = parsed(&index.index);
        change(&mut value);
        document(OCI_INDEX, &value)
    };
    let hybrid = |media_type: &str| {
        let mut value = manifest.clone();
        value["manifests"] = parsed(&index.index)["manifests"].clone();
        value["mediaType"] = json!(media_type);
        document(media_type, &value)
    };
    let nested = index.index.clone();
    let chart = json!({
        "schemaVersion": 2,
        "config": { "mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": built.config.digest, "size": 2 },
        "layers": [],
    });
    for (tagged, why) in [
        (hybrid(OCI_INDEX), "it is an index and a manifest at the same time"),
        (hybrid(OCI_MANIFEST), "it is an index and a manifest at the same time"),
        (document(OCI_INDEX, &manifest), "announced as `application/vnd.oci.image.index.v1+json` but calling itself"),
        (document("application/json", &manifest), "announced as `application/json` but calling itself"),
        (Blob::new("text/html", b"<html>a login page</html>".to_vec()), "the answer is `text/html`"),
        (Blob::new(OCI_INDEX, b"<html>a login page</html>".to_vec()), "the answer is a web page"),
        (Blob::new(OCI_INDEX, Vec::new()), "the answer is not a manifest"),
        (document(OCI_MANIFEST, &chart), "its configuration is `application/vnd.cncf.helm.config.v1+json`"),
        (changed(&|index| index["manifests"][0]["size"] = json!(1)), "is announced with 1 bytes and has"),
        (
            changed(&|index| index["manifests"][0]["mediaType"] = json!(DOCKER_MANIFEST)),
            "vnd.docker.distribution.manifest.v2+json",
        ),
        (
            changed(&|index| {
                let entry = &mut index["manifests"][0];
                entry["digest"] = json!(nested.digest);
                entry["size"] = json!(nested.bytes.len());
                entry["mediaType"] = json!(OCI_INDEX);
            }),
            "its entry for `linux/amd64` is an index again",
        ),
    ] {
        let shown = String::from_utf8_lossy(&tagged.bytes).into_owned();
        let unresolved = base.clone().child(nested.clone()).document("a", tagged).refuses(&request(&["a"])).await;
        assert_eq!(unresolved.class(), ErrorClass::Invalid, "{shown}");
        let text = unresolved.reason.to_string();
        assert!(text.contains(why), "{shown}: {text}");
    }
}

#[tokio::test]
async fn t33_a_configuration_that_is_none_is_refused() {
    let built = image("linux/amd64").build();
    for (config, why) in [
        (json!([]), "its configuration is unreadable"),
        (json!({ "config": {} }), "its configuration names the platform `/`"),
        (json!({ "os": "../..", "architecture": "amd64" }), "its configuration names the platform `../../amd64`"),
    ] {
        let config = document(OCI_CONFIG, &config);
        let mut manifest = parsed(&built.manifest);
        manifest["config"] = config.descriptor();
        let store = Store::default().config(config).document("a", document(OCI_MANIFEST, &manifest));
        let text = store.refuses(&request(&["a"])).await.reason.to_string();
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn images_in_dockers_own_types_are_taken() {
    let built = image("linux/amd64").build();
    let mut manifest = parsed(&built.manifest);
    manifest["mediaType"] = json!(DOCKER_MANIFEST);
    manifest["config"]["mediaType"] = json!(DOCKER_CONFIG);
    let manifest = document(DOCKER_MANIFEST, &manifest);
    let mut entry = manifest.descriptor();
    entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let list = document(DOCKER_LIST, &json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry] }));
    let store = Store::default().contents(&built).child(manifest.clone()).document("a", list.clone());
    let found = store.resolves(&request(&["a"])).await;
    assert_eq!(found.image.digest, list.digest);
    assert_eq!(found.image.platforms, BTreeMap::from([(platform("linux/amd64"), manifest.digest)]));
}

#[tokio::test]
async fn p2_every_candidate_that_was_tried_is_listed() {
    let store = Store::default().image("sha-111111111111", &image("linux/amd64").build());
    let found = store.resolves(&request(&["main-1111111", "sha-111111111111", "never-asked"])).await;
    let tried: Vec<String> = found.tried.iter().map(ToString::to_string).collect();
    let digest = &found.image.digest;
    assert_eq!(
        tried,
        [
            "registry.example/shop/cart:main-1111111: does not exist".to_owned(),
            format!("registry.example/shop/cart:sha-111111111111: found, {digest}"),
        ]
    );
    let unresolved = store.refuses(&request(&["main-1111111", "main-native-1111111"])).await;
    assert_eq!(unresolved.class(), ErrorClass::NotFound);
    assert_eq!(unresolved.tried.len(), 2);
    assert_eq!(unresolved.reason.to_string(), "none of its images exists");
    let unresolved = store.refuses(&request(&[])).await;
    assert!(matches!(unresolved.reason, UnresolvedReason::NoCandidates));
}

#[tokio::test]
async fn t5_a_short_tag_with_the_image_of_another_commit_is_refused() {
    let theirs = ImageContent::new(platform("linux/amd64")).revision(&commit(THEIRS)).build();
    let store = Store::default().image("main-1111111", &theirs);
    let unresolved = store.refuses(&request(&["main-1111111", "sha-111111111111"])).await;
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    assert_eq!(
        unresolved.reason.to_string(),
        format!(
            "`registry.example/shop/cart:main-1111111` was built from commit `{THEIRS}`, the submodule is at `{OURS}`"
        )
    );
    let tried: Vec<String> = unresolved.tried.iter().map(ToString::to_string).collect();
    assert_eq!(
        tried,
        [
            format!("registry.example/shop/cart:main-1111111: was built from commit `{THEIRS}`"),
            "registry.example/shop/cart:sha-111111111111: does not exist".to_owned(),
        ]
    );
}

#[tokio::test]
async fn t5_a_revision_in_capitals_is_the_same_commit() {
    let ours = "abcdef0123".repeat(4);
    let upper = ImageContent::new(platform("linux/amd64")).label(REVISION_LABEL, ours.to_uppercase()).build();
    let fake = Store::default().image("a", &upper).serve().await;
    let wanted = request(&["a"]).built_from(commit(&ours), RevisionPolicy::Require);
    let found = resolve(&fake.registry(), &wanted).await.unwrap();
    assert_eq!(found.image.revision, Revision::SelfAsserted);
}

#[tokio::test]
async fn t5_a_short_revision_proves_no_commit() {
    let labelled = |text: &str| ImageContent::new(platform("linux/amd64")).label(REVISION_LABEL, text).build();
    for (label, words) in [
        (OURS.get(..7).unwrap(), "names only `1111111`, which is too short to prove a commit"),
        ("v1.4.0", "names `v1.4.0`, which is no commit"),
        (&format!("{OURS}\n"), &format!("names `\"{OURS}\\n\"`, which is no commit")),
        ("", "does not say which commit it was built from"),
        (" ", "does not say which commit it was built from"),
    ] {
        let unresolved = Store::default().image("a", &labelled(label)).refuses(&request(&["a"])).await;
        assert!(unresolved.reason.to_string().contains(words), "{}", unresolved.reason);
    }
}

#[tokio::test]
async fn a_revision_in_an_annotation_counts_where_no_label_says_another() {
    let annotated = |commit: &str| ImageContent::new(platform("linux/amd64")).annotation(REVISION_LABEL, commit);
    let store = Store::default()
        .image("annotated", &annotated(OURS).build())
        .image("both", &annotated(OURS).revision(&commit(THEIRS)).build());
    let found = store.resolves(&request(&["annotated"])).await;
    assert_eq!(found.image.revision, Revision::SelfAsserted);
    let text = store.refuses(&request(&["both"])).await.reason.to_string();
    assert!(text.contains(&format!("was built from commit `{THEIRS}`")), "{text}");

    let index = IndexContent::new([ImageContent::new(platform("linux/amd64"))]).build();
    let mut value = parsed(&index.index);
    value["annotations"] = json!({ REVISION_LABEL: OURS });
    let store = Store::default().index("a", &index).document("a", document(OCI_INDEX, &value));
    assert_eq!(store.resolves(&request(&["a"])).await.image.revision, Revision::SelfAsserted);
}

#[tokio::test]
async fn t5_our_image_under_the_next_candidate_is_taken_whatever_the_policy() {
    let theirs = ImageContent::new(platform("linux/amd64")).revision(&commit(THEIRS)).build();
    let ours = image("linux/amd64").build();
    let store = Store::default().image("main-1111111", &theirs).image("sha-111111111111", &ours);
    for policy in [RevisionPolicy::Require, RevisionPolicy::Warn] {
        let wanted = request(&["main-1111111", "sha-111111111111"]).built_from(commit(OURS), policy);
        let found = store.resolves(&wanted).await;
        assert_eq!(found.image.digest, ours.manifest.digest);
        assert_eq!(found.image.revision, Revision::SelfAsserted);
        let warnings: Vec<String> = found.warnings.iter().map(ToString::to_string).collect();
        let warning = format!(
            "passed over: `registry.example/shop/cart:main-1111111` was built from commit `{THEIRS}`, \
             the submodule is at {OURS}"
        );
        assert_eq!(warnings, [warning]);
    }
}

#[tokio::test]
async fn t5_the_policies_differ_in_what_they_take() {
    let theirs = ImageContent::new(platform("linux/amd64")).revision(&commit(THEIRS)).build();
    let silent = ImageContent::new(platform("linux/amd64")).build();
    let store = Store::default().image("theirs", &theirs).image("silent", &silent);
    for (tag, policy, outcome) in [
        ("theirs", RevisionPolicy::Warn, Some((Revision::Mismatch, 1))),
        ("theirs", RevisionPolicy::Off, Some((Revision::Unchecked, 0))),
        ("silent", RevisionPolicy::Require, None),
        ("silent", RevisionPolicy::Warn, Some((Revision::Absent, 1))),
        ("silent", RevisionPolicy::Off, Some((Revision::Unchecked, 0))),
    ] {
        let wanted = request(&[tag]).built_from(commit(OURS), policy);
        if let Some((revision, warnings)) = outcome {
            let found = store.resolves(&wanted).await;
            assert_eq!((found.image.revision, found.warnings.len()), (revision, warnings), "{tag} {policy:?}");
        } else {
            let unresolved = store.refuses(&wanted).await;
            assert!(
                unresolved.reason.to_string().starts_with(
                    "`registry.example/shop/cart:silent` does not say which commit it was built from, the submodule"
                ),
                "{}",
                unresolved.reason
            );
        }
    }
}

#[tokio::test]
async fn t5_every_platform_must_name_the_commit() {
    let theirs = ImageContent::new(platform("linux/arm64")).revision(&commit(THEIRS));
    let silent = ImageContent::new(platform("linux/arm64"));
    for (other, revision) in [(theirs, Revision::Mismatch), (silent, Revision::Absent)] {
        let index = IndexContent::new([image("linux/amd64"), other]).build();
        let mut wanted = request(&["a"]).built_from(commit(OURS), RevisionPolicy::Warn);
        wanted.platforms.push(platform("linux/arm64"));
        assert_eq!(Store::default().index("a", &index).resolves(&wanted).await.image.revision, revision);
    }
}

#[tokio::test]
async fn a_short_or_capital_revision_is_another_revision() {
    for label in ["1111111", &format!("{OURS} "), "refs/heads/main"] {
        let built = ImageContent::new(platform("linux/amd64")).label(registry::REVISION_LABEL, label).build();
        let unresolved = Store::default().image("a", &built).refuses(&request(&["a"])).await;
        assert!(matches!(unresolved.reason, UnresolvedReason::OtherRevision { .. }), "{label}");
    }
}

#[tokio::test]
async fn the_date_is_the_newest_configuration_then_an_annotation_then_the_commit() {
    let bare = || ImageContent::new(platform("linux/amd64")).revision(&commit(OURS));
    let older = image("linux/amd64");
    let newer = image("linux/arm64").created(time("2025-11-21T00:00:00Z"));
    let both = {
        let mut both = request(&["a"]);
        both.platforms.push(platform("linux/arm64"));
        both
    };
    let one = request(&["a"]);
    let epoch = bare().created(time("1970-01-01T00:00:00Z"));
    let annotated = bare().annotation(CREATED_ANNOTATION, "2025-03-01T01:00:00.5+01:00");
    let garbled = bare().annotation(CREATED_ANNOTATION, "last\u{1b}week");
    for (index, wanted, expected, warnings) in [
        (IndexContent::new([older, newer]), &both, Some(("2025-11-21T00:00:00Z", CreatedFrom::Config)), 0),
        (IndexContent::new([annotated.clone()]), &one, Some(("2025-03-01T00:00:00Z", CreatedFrom::Annotation)), 0),
        (
            IndexContent::new([annotated]).created(time("2025-02-01T00:00:00Z")),
            &one,
            Some(("2025-02-01T00:00:00Z", CreatedFrom::Annotation)),
            0,
        ),
        (IndexContent::new([bare()]), &one, None, 0),
        (IndexContent::new([epoch]), &one, None, 0),
        (IndexContent::new([garbled]), &one, None, 1),
    ] {
        let found = Store::default().index("a", &index.build()).resolves(wanted).await;
        assert_eq!(date(&found), expected.map(|(text, from)| (time(text), from)));
        let commit_time = time("2025-01-01T00:00:00Z");
        let (created, from) = date(&found).unwrap_or((commit_time, CreatedFrom::Commit));
        let locked = found.image.into_locked(commit_time).unwrap();
        assert_eq!((locked.created, locked.created_from), (created, from));
        assert_eq!(found.warnings.len(), warnings);
        assert!(found.warnings.iter().all(|warning| !warning.to_string().contains('\u{1b}')));
    }
}

#[tokio::test]
async fn t21_foreign_addresses_are_ignored_and_said() {
    let built = image("linux/amd64").build();
    let elsewhere = Fake::start().await;
    let mut manifest = parsed(&built.manifest);
    manifest["layers"][0]["urls"] = json!([elsewhere.uri()]);
    manifest["config"]["urls"] = json!([elsewhere.uri()]);
    let store = Store::default().contents(&built).document("a", document(OCI_MANIFEST, &manifest));
    assert_eq!(store.resolves(&request(&["a"])).await.warnings, [Warning::ForeignUrls]);
    assert!(elsewhere.requests().await.is_empty());
}

#[tokio::test]
async fn t7_a_tag_that_moves_in_a_folder_meanwhile_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = image("linux/amd64").build();
    let second = image("linux/amd64").label("build", "2").build();
    let mut writer = Store::default().image("a", &first).contents(&second).write(folder.path());
    let registry = on_layout(folder.path());
    let writer = Mutex::new(&mut writer);
    let on_event = |event: Event<'_>| {
        if let Event::Looked { .. } = event {
            writer.lock().unwrap().set_tag(&repository(), &tag("a"), &second.manifest.digest).unwrap();
        }
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let unresolved = registry.resolve_all(&[request(&["a"])], deadline, &on_event).await.remove(0).unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    assert_eq!(
        unresolved.reason.to_string(),
        format!(
            "`registry.example/shop/cart:a`: moved while it was read: first `{}`, then `{}`",
            first.manifest.digest, second.manifest.digest
        )
    );
}

#[tokio::test]
async fn f19_every_service_is_reported_and_a_permanent_problem_wins() {
    let folder = tempfile::tempdir().unwrap();
    Store::default().image("a", &image("linux/amd64").build()).write(folder.path());
    // Nobody listens on the port of a service that died out in the nineties.
    let (uri, nobody) = ("http://127.0.0.1:1", "down.example");
    let mut options = options();
    let layout = registry::Mirror::OciLayout(folder.path().to_owned());
    options.mirrors = BTreeMap::from([
        ("registry.example".to_owned(), layout),
        (nobody.to_owned(), registry::Mirror::Http(uri.parse().unwrap())),
    ]);
    let registry = registry::Registry::new(options).unwrap();
    let (there, missing) = (request(&["a"]), request(&["b"]));
    let unreachable = ImageRequest::new(["down.example/x:a".parse().unwrap()]);
    let deadline = Instant::now() + Duration::from_secs(60);
    let events = Mutex::new(Vec::new());
    let on_event = |event: Event<'_>| {
        if let Event::Retrying { request, .. } = event {
            events.lock().unwrap().push(request);
        }
    };
    let answers = registry.resolve_all(&[unreachable.clone(), there, missing], deadline, &on_event).await;
    let classes: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(registry::Unresolved::class)).collect();
    assert_eq!(classes, [Some(ErrorClass::Temporary), None, Some(ErrorClass::NotFound)]);
    assert_eq!(overall_class(classes.into_iter().flatten()), Some(ErrorClass::NotFound));
    assert_eq!(*events.lock().unwrap(), [0; 3]);

    let alone = registry.resolve_all(&[unreachable], deadline, &|_| ()).await;
    let classes = alone.iter().filter_map(|answer| answer.as_ref().err().map(registry::Unresolved::class));
    assert_eq!(overall_class(classes), Some(ErrorClass::Temporary));
}

#[tokio::test]
async fn f19_one_of_fifty_hosts_is_down_and_one_image_missing_and_both_are_listed() {
    let fake = Store::default().image("a", &image("linux/amd64").build()).serve().await;
    let mut options = options();
    for number in 0..50 {
        let uri = if number == 7 { "http://127.0.0.1:1".to_owned() } else { fake.uri() };
        options.mirrors.insert(format!("host{number}.example"), registry::Mirror::Http(uri.parse().unwrap()));
    }
    let registry = registry::Registry::new(options).unwrap();
    let requests: Vec<_> = (0..50)
        .map(|number| {
            let tag = if number == 11 { "b" } else { "a" };
            ImageRequest::new([format!("host{number}.example/shop/cart:{tag}").parse().unwrap()])
        })
        .collect();
    let answers = registry.resolve_all(&requests, Instant::now() + Duration::from_secs(60), &|_| ()).await;
    assert_eq!(answers.len(), 50);
    let failed: Vec<_> = answers
        .iter()
        .enumerate()
        .filter_map(|(number, answer)| Some((number, answer.as_ref().err()?.class())))
        .collect();
    assert_eq!(failed, [(7, ErrorClass::Temporary), (11, ErrorClass::NotFound)]);
    assert_eq!(overall_class(failed.iter().map(|(_, class)| *class)), Some(ErrorClass::NotFound));
}

#[tokio::test]
async fn an_earlier_candidate_without_an_answer_is_not_skipped() {
    // Which of the two would be locked must not depend on a fault.
    let fake = Store::default().image("b", &image("linux/amd64").build()).serve().await;
    fake.on("GET", "manifests/a", [wiremock::ResponseTemplate::new(503)]);
    let unresolved = resolve(&fake.registry(), &request(&["a", "b"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Temporary);
    assert_eq!(unresolved.tried.len(), 1);
    assert!(matches!(&unresolved.tried[0].outcome, AttemptOutcome::Failed { class: ErrorClass::Temporary, .. }));
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let unresolved = resolve(&on_layout(folder.path()), &request(&["a"])).await.unwrap_err();
    let text = unresolved.reason.to_string();
    assert!(text.ends_with("not an image layout: it has no `oci-layout` file"), "{text}");
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
}

#[tokio::test]
async fn t40_a_manifest_beyond_the_cap_is_refused() {
    let built = image("linux/amd64").annotation("padding", "x".repeat(5000)).build();
    let store = Store::default().image("a", &built);
    let folder = tempfile::tempdir().unwrap();
    store.write(folder.path());
    let fake = store.serve().await;
    let mut limited = options();
    limited.limits.manifest = 4096;
    let wire = resolve(&fake.registry_with(limited.clone()), &request(&["a"])).await.unwrap_err();
    assert_eq!(wire.reason.to_string(), "`registry.example/shop/cart:a`: the answer is larger than 4096 bytes");
    limited.mirrors.insert("registry.example".to_owned(), registry::Mirror::OciLayout(folder.path().to_owned()));
    let layout = resolve(&registry::Registry::new(limited).unwrap(), &request(&["a"])).await.unwrap_err();
    assert!(layout.reason.to_string().ends_with("is larger than 4096 bytes"), "{}", layout.reason);
    assert_eq!([wire.class(), layout.class()], [ErrorClass::Invalid; 2]);
}

#[tokio::test]
async fn one_image_is_resolved_by_its_tag_or_by_its_digest() {
    let index = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).build();
    let store = Store::default().index("a", &index);
    let fake = store.serve().await;
    let folder = tempfile::tempdir().unwrap();
    store.write(folder.path());
    let (wire, layout) = (fake.registry(), on_layout(folder.path()));
    let child = &index.images[1].manifest.digest;
    for (reference, digest, platforms) in [
        (reference("a"), &index.index.digest, 2),
        (reference("a").with_digest(index.index.digest.clone()), &index.index.digest, 2),
        // With a digest, the tag is for people: it need not be there.
        (reference("gone").with_digest(child.clone()), child, 1),
        (ImageReference::new(repository()).with_digest(child.clone()), child, 1),
    ] {
        for registry in [&wire, &layout] {
            let found = registry.resolve(&reference, &[], soon()).await.unwrap();
            assert_eq!(found.image.digest, *digest, "{reference}");
            assert_eq!(found.image.reference(), reference.clone().with_digest(digest.clone()));
            assert_eq!(found.image.platforms.len(), platforms);
            assert_eq!(found.image.revision, Revision::Unchecked);
        }
    }
    let tags: Vec<_> = fake.requests().await.into_iter().filter(|line| line.starts_with("HEAD")).collect();
    assert_eq!(tags, ["HEAD /v2/shop/cart/manifests/a"], "a digest needs no look at a tag");
    let only = wire.resolve(&reference("a"), &[platform("linux/arm64")], soon()).await.unwrap();
    assert_eq!(only.image.platforms, BTreeMap::from([(platform("linux/arm64"), child.clone())]));
    for registry in [&wire, &layout] {
        let missing = ImageReference::new(repository()).with_digest(Digest::of(b"nowhere"));
        assert_eq!(registry.resolve(&missing, &[], soon()).await.unwrap_err().class(), ErrorClass::NotFound);
        let bare = registry.resolve(&ImageReference::new(repository()), &[], soon()).await.unwrap_err();
        assert_eq!(bare.class(), ErrorClass::Invalid);
        assert_eq!(bare.to_string(), "`registry.example/shop/cart`: has neither a tag nor a digest");
    }
}

#[tokio::test]
async fn an_error_says_what_was_tried() {
    let fake = Fake::start().await;
    let unresolved = resolve(&fake.registry(), &request(&["a", "b"])).await.unwrap_err();
    let error: Box<dyn std::error::Error> = unresolved.into();
    assert_eq!(
        error.to_string(),
        "none of its images exists (tried registry.example/shop/cart:a: does not exist; \
         registry.example/shop/cart:b: does not exist)"
    );
    fake.on("GET", "manifests/b", [wiremock::ResponseTemplate::new(403)]);
    let unresolved = resolve(&fake.registry(), &request(&["a", "b"])).await.unwrap_err();
    let text = unresolved.to_string();
    assert!(text.starts_with("`registry.example/shop/cart:b`: "), "{text}");
    assert!(text.ends_with(" (tried registry.example/shop/cart:a: does not exist)"), "{text}");
}

#[tokio::test]
async fn a_folder_whose_entries_are_bare_tags_says_which_it_has() {
    let folder = tempfile::tempdir().unwrap();
    Store::default().image("a", &image("linux/amd64").build()).write(folder.path());
    let index = folder.path().join("index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace("registry.example/shop/cart:a", "v1")).unwrap();
    let unresolved = resolve(&on_layout(folder.path()), &request(&["a"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    let text = unresolved.to_string();
    assert!(text.ends_with("no entry is named by its full `repository:tag`: there is `v1`"), "{text}");
    // A folder with other images is one where this one is missing.
    let mut writer = LayoutWriter::open(folder.path()).unwrap();
    writer.add_image(&repository(), &tag("b"), &image("linux/amd64")).unwrap();
    let unresolved = resolve(&on_layout(folder.path()), &request(&["a"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::NotFound);
}

#[test]
fn a_folder_needs_no_runtime() {
    let folder = tempfile::tempdir().unwrap();
    Store::default().image("a", &image("linux/amd64").build()).write(folder.path());
    let registry = on_layout(folder.path());
    let reference = reference("a");
    let mut resolve = std::pin::pin!(registry.resolve(&reference, &[], soon()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(found) = resolve.as_mut().poll(&mut context) else { panic!("nothing is waited for") };
    found.unwrap();
}

#[test]
#[should_panic(expected = "runtime")]
fn a_registry_over_http_panics_without_a_runtime() {
    let registry = registry::Registry::new(options()).unwrap();
    let reference = "127.0.0.1:1/shop/cart:a".parse().unwrap();
    let mut resolve = std::pin::pin!(registry.resolve(&reference, &[], soon()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    drop(resolve.as_mut().poll(&mut context));
}
