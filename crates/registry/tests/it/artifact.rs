//! Artefacts at registries that keep a list of referrers, that others write to, that lie; and in layout folders.

use std::sync::{Arc, Mutex};

use lock_model::{Digest, ErrorClass};
use registry::artifact::{Artifact, Pushed, Referrer, ReferrersBy};
use registry::layout::{Blob, BuiltImage, LayoutWriter};
use registry::media_type::{OCI_INDEX, OCI_MANIFEST};
use registry::{Registry, RegistryError, RegistryErrorKind, RegistryOptions};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{
    Fake, HOST, document, env_sources, image, on_layout, options, options_with_logins, repository, request, resolve,
    served, soon, tag,
};

const PROOF: &str = "application/vnd.shop.proof.v1+json";

fn built() -> BuiltImage {
    image("linux/amd64").build()
}

fn proof(subject: &Digest, text: &str) -> Artifact {
    Artifact::new(PROOF).blob(Blob::new("text/plain", text.as_bytes().to_vec())).subject(subject.clone())
}

async fn push(registry: &Registry, artifact: &Artifact) -> Result<Pushed, RegistryError> {
    registry.push_artifact(&repository(), None, artifact, soon()).await
}

async fn referrers(registry: &Registry, subject: &Digest) -> Result<Vec<Referrer>, RegistryError> {
    registry.referrers(&repository(), subject, None, soon()).await
}

fn list_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// A registry that keeps what it is given, in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    documents: std::collections::BTreeMap<String, Blob>,
    blobs: std::collections::BTreeMap<String, Vec<u8>>,
    /// Answers a push with `OCI-Subject` and keeps the list of referrers.
    lists: bool,
    /// What another client writes right before ours, the next so many times.
    rivals: Vec<(String, Blob)>,
    /// Uploads that are forgotten before they end.
    forgotten: u32,
    /// Another origin for the bytes of uploads.
    uploads_at: Option<String>,
    /// `Authorization` headers with which bytes came.
    seen: Vec<Option<String>>,
}

impl Memory {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    fn put(&self, name: &str, document: &Blob) {
        let mut kept = self.kept();
        for name in [name, document.digest.as_str()] {
            kept.documents.insert(name.to_owned(), document.clone());
        }
    }

    async fn serve(&self) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(self.clone()).mount(&server).await;
        server
    }
}

impl Kept {
    fn referrers(&self, subject: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for (name, document) in &self.documents {
            let manifest: Value = serde_json::from_slice(&document.bytes).unwrap();
            if name.starts_with("sha256:") && manifest["subject"]["digest"] == subject {
                let mut entry = document.descriptor();
                entry["artifactType"] = manifest["artifactType"].clone();
                found.push(entry);
            }
        }
        found
    }
}

impl Respond for Memory {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().strip_prefix("/v2/shop/cart/").unwrap_or_default().to_owned();
        let (kind, name) = path.split_once('/').unwrap_or_default();
        let mut kept = self.kept();
        match (request.method.as_str(), kind) {
            ("GET", "manifests") => kept.documents.get(name).map_or(ResponseTemplate::new(404), served),
            ("PUT", "manifests") => {
                let media_type = request.headers["content-type"].to_str().unwrap();
                let document = Blob::new(media_type, request.body.clone());
                if name.starts_with("sha256-")
                    && let Some((name, rival)) = kept.rivals.pop()
                {
                    // After ours, as if both had looked before either wrote.
                    kept.documents.insert(name, rival);
                } else {
                    kept.documents.insert(name.to_owned(), document.clone());
                }
                kept.documents.insert(document.digest.to_string(), document.clone());
                let answer = ResponseTemplate::new(201);
                let manifest: Value = serde_json::from_slice(&document.bytes).unwrap();
                match manifest["subject"]["digest"].as_str().filter(|_| kept.lists) {
                    Some(subject) => answer.insert_header("oci-subject", subject),
                    None => answer,
                }
            }
            ("GET", "referrers") if kept.lists => {
                let list = document(
                    OCI_INDEX,
                    &json!({
                        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": kept.referrers(name),
                    }),
                );
                served(&list)
            }
            ("HEAD" | "GET", "blobs") => match kept.blobs.get(name) {
                Some(bytes) => ResponseTemplate::new(200).set_body_raw(bytes.clone(), "application/octet-stream"),
                None => ResponseTemplate::new(404),
            },
            ("POST", "blobs") => {
                let origin = kept.uploads_at.clone().unwrap_or_default();
                ResponseTemplate::new(202).insert_header("location", format!("{origin}/v2/shop/cart/up/1?_state=s"))
            }
            ("PUT", "up") => {
                if kept.forgotten > 0 {
                    kept.forgotten -= 1;
                    return ResponseTemplate::new(404);
                }
                let sent = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
                kept.seen.push(sent);
                let pairs: std::collections::BTreeMap<_, _> = request.url.query_pairs().into_owned().collect();
                assert_eq!(pairs["_state"], "s");
                kept.blobs.insert(pairs["digest"].clone(), request.body.clone());
                ResponseTemplate::new(201)
            }
            _ => ResponseTemplate::new(404),
        }
    }
}

fn at(server: &MockServer) -> Registry {
    at_with(server, options())
}

fn at_with(server: &MockServer, mut options: RegistryOptions) -> Registry {
    options.mirrors.insert(HOST.to_owned(), registry::Mirror::Http(server.uri().parse().unwrap()));
    Registry::new(options).unwrap()
}

/// A registry in memory with our image.
async fn with_image() -> (Memory, MockServer, Digest) {
    let (memory, image) = (Memory::default(), built());
    memory.put("a", &image.manifest);
    let server = memory.serve().await;
    (memory, server, image.manifest.digest)
}

#[tokio::test]
async fn a_registry_that_keeps_the_list_is_left_to_it() {
    let (memory, server, subject) = with_image().await;
    memory.kept().lists = true;
    let pushed = push(&at(&server), &proof(&subject, "1")).await.unwrap();
    assert_eq!((pushed.listed_by, pushed.sent), (Some(ReferrersBy::Registry), 3));
    assert!(!memory.kept().documents.contains_key(&list_tag(&subject)));
    let listed = referrers(&at(&server), &subject).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].digest, listed[0].artifact_type.as_deref()), (&pushed.digest, Some(PROOF)));
    let mut again = push(&at(&server), &proof(&subject, "1")).await.unwrap();
    assert_eq!(std::mem::replace(&mut again.sent, pushed.sent), 0);
    assert_eq!(again, pushed);
}

#[tokio::test]
async fn entries_of_others_are_kept_as_they_are() {
    let (memory, server, subject) = with_image().await;
    let theirs = json!({
        "mediaType": OCI_MANIFEST, "digest": Digest::of(b"theirs"), "size": 6, "x-unknown": { "score": 0.5 },
    });
    let list = json!({ "schemaVersion": 2, "manifests": [theirs], "annotations": { "who": "they" } });
    memory.put(&list_tag(&subject), &Blob::new(OCI_INDEX, list.to_string().into_bytes()));
    let pushed = push(&at(&server), &proof(&subject, "1")).await.unwrap();
    let kept: Value = serde_json::from_slice(&memory.kept().documents[&list_tag(&subject)].bytes).unwrap();
    assert_eq!(kept["manifests"][0], theirs);
    assert_eq!(kept["manifests"][1]["digest"], pushed.digest.as_str());
    assert_eq!(kept["annotations"], json!({ "who": "they" }));
}

#[tokio::test]
async fn f5_a_list_that_another_client_wrote_meanwhile_is_written_anew() {
    let (memory, server, subject) = with_image().await;
    let rival = |text: &str| {
        let entry = json!({ "mediaType": OCI_MANIFEST, "digest": Digest::of(text.as_bytes()), "size": 1 });
        document(OCI_INDEX, &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] }))
    };
    memory.kept().rivals = vec![(list_tag(&subject), rival("2")), (list_tag(&subject), rival("1"))];
    let pushed = push(&at(&server), &proof(&subject, "1")).await.unwrap();
    let listed: Vec<Digest> =
        referrers(&at(&server), &subject).await.unwrap().into_iter().map(|entry| entry.digest).collect();
    assert!(listed.contains(&pushed.digest) && listed.contains(&Digest::of(b"2")), "{listed:?}");
    // Somebody who never stops: said, and not tried for ever.
    memory.kept().rivals = (0..100).map(|number| (list_tag(&subject), rival(&number.to_string()))).collect();
    let refused = push(&at(&server), &proof(&subject, "2")).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::ListChanged { rounds: 5, .. }), "{refused}");
    assert_eq!(refused.class(), ErrorClass::Temporary);
}

#[tokio::test]
async fn t40_a_registry_without_an_answer_has_no_empty_list() {
    let image = built();
    let subject = &image.manifest.digest;
    let path = format!("referrers/{subject}");
    for (status, class) in [
        (403, ErrorClass::Denied),
        (429, ErrorClass::Temporary),
        (500, ErrorClass::Temporary),
        (503, ErrorClass::Temporary),
    ] {
        let fake = Fake::start().await;
        fake.on("GET", &path, [ResponseTemplate::new(status)]);
        assert_eq!(referrers(&fake.registry(), subject).await.unwrap_err().class(), class, "{status}");
        // The same for the list under the tag.
        let fake = Fake::start().await;
        fake.on("GET", &format!("manifests/{}", list_tag(subject)), [ResponseTemplate::new(status)]);
        assert_eq!(referrers(&fake.registry(), subject).await.unwrap_err().class(), class, "{status}");
    }
    // A web page is how some say that they do not know the question.
    let fake = Fake::start().await;
    fake.on("GET", &path, [ResponseTemplate::new(200).set_body_raw("<html>", "text/html")]);
    assert!(referrers(&fake.registry(), subject).await.unwrap().is_empty());
    // An image where the list should be is not one without entries.
    let fake = Fake::start().await;
    fake.on("GET", &format!("manifests/{}", list_tag(subject)), [served(&image.manifest)]);
    assert_eq!(referrers(&fake.registry(), subject).await.unwrap_err().class(), ErrorClass::Invalid);
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let fake = Fake::start().await;
    let subject = built().manifest.digest;
    let page = |text: &str, kind: &str| {
        let entry = json!({ "mediaType": OCI_MANIFEST, "digest": Digest::of(text.as_bytes()), "size": 1, "artifactType": kind });
        let list = document(OCI_INDEX, &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] }));
        ResponseTemplate::new(200).set_body_raw(list.bytes, OCI_INDEX)
    };
    let path = format!("referrers/{subject}");
    let next = |to: &str| format!("<{to}>; rel=\"next\"");
    let first = || page("1", PROOF).insert_header("link", next("/v2/shop/cart/more?last=1"));
    fake.on("GET", &path, [first()]);
    fake.on("GET", "more", [page("2", "text/x")]);
    let registry = fake.registry();
    assert_eq!(referrers(&registry, &subject).await.unwrap().len(), 2);
    let proofs = registry.referrers(&repository(), &subject, Some(PROOF), soon()).await.unwrap();
    assert_eq!(proofs.len(), 1, "the registry did not filter: we do");
    // Never to another host, and not for ever.
    let elsewhere = Fake::start().await;
    fake.on("GET", "more", [page("2", PROOF).insert_header("link", next(&format!("{}/x", elsewhere.uri())))]);
    assert_eq!(referrers(&registry, &subject).await.unwrap_err().class(), ErrorClass::Invalid);
    assert!(elsewhere.requests().await.is_empty());
    fake.on("GET", "more", [page("2", PROOF).insert_header("link", next("/v2/shop/cart/more"))]);
    let refused = referrers(&registry, &subject).await.unwrap_err().to_string();
    assert!(refused.contains("pages"), "{refused}");
}

#[tokio::test]
async fn an_upload_that_the_registry_forgot_is_begun_anew() {
    let (memory, server, subject) = with_image().await;
    memory.kept().forgotten = 2;
    push(&at(&server), &proof(&subject, "1")).await.unwrap();
    memory.kept().forgotten = u32::MAX;
    let refused = push(&at(&server), &proof(&subject, "2")).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::NotFound);
    let digest = Digest::of(b"2");
    assert!(!memory.kept().blobs.contains_key(digest.as_str()));
}

#[tokio::test]
async fn t21_bytes_for_another_host_come_without_the_login() {
    use registry::credentials::{EnvCredential, Login};

    let fake = Fake::start().await;
    let (storage, subject) = (Memory::default(), built().manifest);
    let storage_server = storage.serve().await;
    fake.document("a", &subject);
    fake.guard(&["Basic realm=\"x\""], &["Basic bWU6c2VjcmV0"]);
    let location = format!("{}/v2/shop/cart/up/1?_state=s", storage_server.uri());
    fake.on("POST", "blobs/uploads/", [ResponseTemplate::new(202).insert_header("location", location)]);
    let login = Login::password("me", "secret");
    let explicit = vec![EnvCredential::new("V", fake.host(), login)];
    let options = options_with_logins(env_sources(explicit));
    // The manifest is refused, after its blobs have come.
    push(&fake.registry_with(options.clone()), &Artifact::new(PROOF)).await.unwrap_err();
    assert_eq!(storage.kept().seen, [None], "the bytes, and no login");

    for (location, why) in
        [("http://registry.example.com/up", "neither https nor this machine"), ("ftp://x/", "neither")]
    {
        fake.on("POST", "blobs/uploads/", [ResponseTemplate::new(202).insert_header("location", location)]);
        let refused = push(&fake.registry_with(options.clone()), &Artifact::new(PROOF)).await.unwrap_err();
        assert!(matches!(refused.kind(), RegistryErrorKind::Redirect { .. }), "{refused}");
        assert!(refused.to_string().contains(why), "{refused}");
    }
}

#[tokio::test]
async fn t33_t40_what_is_pulled_is_hashed_and_measured() {
    let (memory, server, subject) = with_image().await;
    let pushed = push(&at(&server), &proof(&subject, "right")).await.unwrap();
    let blob = Digest::of(b"right").to_string();
    let pull = async |registry: Registry| registry.pull_artifact(&repository(), &pushed.digest, soon()).await;
    assert_eq!(pull(at(&server)).await.unwrap().parts[0].blob.bytes, b"right");
    for wrong in ["wrong", "short", "rightandmuchmore"] {
        memory.kept().blobs.insert(blob.clone(), wrong.as_bytes().to_vec());
        assert_eq!(pull(at(&server)).await.unwrap_err().class(), ErrorClass::Invalid, "{wrong}");
    }
    memory.kept().blobs.remove(&blob);
    assert_eq!(pull(at(&server)).await.unwrap_err().class(), ErrorClass::NotFound);
    let mut little = options();
    little.limits.blob = 4;
    let refused = pull(at_with(&server, little)).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::TooLarge { limit: 4 }), "{refused}");
    // The manifest itself.
    memory.put(pushed.digest.as_str(), &document(OCI_MANIFEST, &json!({ "schemaVersion": 2 })));
    assert_eq!(pull(at(&server)).await.unwrap_err().class(), ErrorClass::Invalid);
    let nothing = at(&server).pull_artifact(&repository(), &Digest::of(b"nothing"), soon()).await.unwrap_err();
    assert_eq!(nothing.class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn t33_a_registry_that_took_something_else_is_found_out() {
    let fake = Fake::start().await;
    fake.on("HEAD", &format!("blobs/{}", Digest::of(b"{}")), [ResponseTemplate::new(200)]);
    let other = ResponseTemplate::new(201).insert_header("docker-content-digest", Digest::of(b"other").as_str());
    fake.on("PUT", "manifests/a", [other]);
    let artifact = Artifact::new(PROOF);
    let refused = fake.registry().push_artifact(&repository(), Some(&tag("a")), &artifact, soon()).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::DigestDiffers { .. }), "{refused}");
}

#[tokio::test]
async fn a_subject_must_be_there_and_types_must_be_types() {
    let (_memory, server, _) = with_image().await;
    let refused = push(&at(&server), &proof(&Digest::of(b"nobody"), "1")).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::NotFound);
    assert!(refused.to_string().contains("subject"), "{refused}");
    let refused = push(&at(&server), &Artifact::new("proof")).await.unwrap_err();
    assert!(refused.to_string().ends_with("`proof` is not a media type"), "{refused}");
}

#[tokio::test]
async fn a_layout_folder_takes_and_gives_artefacts_like_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let subject = writer.add_image(&repository(), &tag("a"), &image("linux/amd64")).unwrap();
    let registry = on_layout(folder.path());
    let first = push(&registry, &proof(&subject, "1")).await.unwrap();
    assert_eq!((first.sent, first.listed_by), (4, Some(ReferrersBy::Tag)));
    let second = registry.push_artifact(&repository(), Some(&tag("p")), &proof(&subject, "2"), soon()).await.unwrap();
    let mut listed: Vec<Digest> =
        referrers(&registry, &subject).await.unwrap().into_iter().map(|entry| entry.digest).collect();
    listed.sort();
    let mut both = [first.digest.clone(), second.digest];
    both.sort();
    assert_eq!(listed, both);
    let mut again = push(&registry, &proof(&subject, "1")).await.unwrap();
    assert_eq!(std::mem::replace(&mut again.sent, first.sent), 0);
    assert_eq!(again, first);
    let pulled = registry.pull_artifact(&repository(), &first.digest, soon()).await.unwrap();
    assert_eq!(pulled.parts[0].blob.bytes, b"1");
    // The image is still the image.
    assert_eq!(resolve(&registry, &request(&["a"])).await.unwrap().image.digest, subject);
}
