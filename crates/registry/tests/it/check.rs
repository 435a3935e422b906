//! Whether locked digests are still there.

use std::collections::BTreeMap;

use lock_model::{Digest, ErrorClass};
use registry::layout::{BuiltIndex, IndexContent};
use registry::{DigestAnswer, DigestRequest, Registry, RegistryError};
use wiremock::ResponseTemplate;

use crate::support::{Store, image, on_layout, platform, repository, served_bare, soon};

fn index() -> BuiltIndex {
    IndexContent::new([image("linux/amd64"), image("linux/arm64")]).attestations().build()
}

fn question(index: &BuiltIndex) -> DigestRequest {
    DigestRequest::new(repository(), index.index.digest.clone())
        .platforms(index.images.iter().map(|image| (image.platform.clone(), image.manifest.digest.clone())))
}

async fn check(registry: &Registry, request: DigestRequest) -> Result<DigestAnswer, RegistryError> {
    registry.check_digests(&[request], soon(), &|_| ()).await.remove(0)
}

async fn both(store: &Store, request: &DigestRequest) -> DigestAnswer {
    let folder = tempfile::tempdir().unwrap();
    store.write(folder.path());
    let fake = store.serve().await;
    let wire = check(&fake.registry(), request.clone()).await.unwrap();
    let layout = check(&on_layout(folder.path()), request.clone()).await.unwrap();
    assert_eq!(wire, layout);
    layout
}

#[tokio::test]
async fn b45_a_digest_is_there_with_all_its_platforms() {
    let index = index();
    let store = Store::default().index("a", &index);
    assert!(both(&store, &question(&index)).await.is_complete());
}

#[tokio::test]
async fn b45_an_index_whose_platform_was_cleaned_away_is_incomplete() {
    let index = index();
    let gone = &index.images[1].manifest.digest;
    let store = Store::default().index("a", &index).without(gone);
    let answer = both(&store, &question(&index)).await;
    assert_eq!(answer.missing, [(Some(platform("linux/arm64")), gone.clone())]);
}

#[tokio::test]
async fn b45_a_digest_that_nobody_has_is_missing() {
    let nowhere = Digest::of(b"nowhere");
    let mut question = question(&index());
    question.digest = nowhere.clone();
    question.platforms = BTreeMap::from([(platform("linux/amd64"), nowhere.clone())]);
    let answer = both(&Store::default(), &question).await;
    assert_eq!(answer.missing, [(None, nowhere)], "an image for one platform is asked for once");
}

#[tokio::test]
async fn what_cannot_be_found_out_is_no_answer() {
    let index = index();
    let store = Store::default().index("a", &index);
    for (status, class) in [(503, ErrorClass::Temporary), (401, ErrorClass::Denied), (500, ErrorClass::Temporary)] {
        let fake = store.serve().await;
        let path = format!("manifests/{}", index.images[1].manifest.digest);
        fake.on("GET", &path, [ResponseTemplate::new(status)]);
        let error = check(&fake.registry(), question(&index)).await.unwrap_err();
        assert_eq!(error.class(), class);
        assert!(error.reference().ends_with(&format!("@{}", index.images[1].manifest.digest)), "{error}");
    }
}

#[tokio::test]
async fn t33_a_registry_that_answers_with_another_digest_is_refused() {
    let index = index();
    let fake = Store::default().index("a", &index).serve().await;
    let path = format!("manifests/{}", index.index.digest);
    let lie = served_bare(&index.index).insert_header("docker-content-digest", Digest::of(b"lie").as_str());
    fake.on("HEAD", &path, [lie]);
    assert_eq!(check(&fake.registry(), question(&index)).await.unwrap_err().class(), ErrorClass::Invalid);
    fake.on("HEAD", &path, [served_bare(&index.index)]);
    assert!(check(&fake.registry(), question(&index)).await.unwrap().is_complete(), "no header: fetched and hashed");
    fake.on("GET", &path, [served_bare(&index.images[0].manifest)]);
    assert_eq!(check(&fake.registry(), question(&index)).await.unwrap_err().class(), ErrorClass::Invalid);
}

#[tokio::test]
async fn t33_a_damaged_folder_is_refused() {
    let index = index();
    let folder = tempfile::tempdir().unwrap();
    Store::default().index("a", &index).write(folder.path());
    std::fs::write(folder.path().join("blobs/sha256").join(index.index.digest.hex()), "{}").unwrap();
    let error = check(&on_layout(folder.path()), question(&index)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
}
