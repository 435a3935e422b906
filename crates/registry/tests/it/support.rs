//! A registry on the wire that can misbehave, a layout folder with the same content, and images to put there.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lock_model::{CommitId, Digest, ImageReference, ImageRepository, Platform, Tag, Timestamp};
use registry::credentials::EnvCredential;
use registry::layout::{Blob, BuiltImage, BuiltIndex, ImageContent, LayoutWriter};
use registry::{
    CredentialSources, Credentials, HostOptions, ImageRequest, Mirror, Registry, RegistryErrorKind, RegistryOptions,
    Resolution, RetryPolicy, RevisionPolicy, Unresolved, UnresolvedReason,
};
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const HOST: &str = "registry.example";
pub(crate) const OURS: &str = "1111111111111111111111111111111111111111";
pub(crate) const THEIRS: &str = "1111111999999999999999999999999999999999";

pub(crate) fn commit(text: &str) -> CommitId {
    CommitId::try_from(text).unwrap()
}

pub(crate) fn platform(text: &str) -> Platform {
    Platform::try_from(text).unwrap()
}

pub(crate) fn repository() -> ImageRepository {
    ImageRepository::try_from(format!("{HOST}/shop/cart")).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::try_from(text).unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An image of our commit.
pub(crate) fn image(for_platform: &str) -> ImageContent {
    ImageContent::new(platform(for_platform)).created(time("2025-11-20T21:14:07Z")).revision(&commit(OURS))
}

/// A request for one of these tags, for `linux/amd64`, built from our commit.
pub(crate) fn request(tags: &[&str]) -> ImageRequest {
    ImageRequest::new(tags.iter().map(|text| reference(text)))
        .platforms([platform("linux/amd64")])
        .built_from(commit(OURS), RevisionPolicy::Require)
}

/// A tag of the repository.
pub(crate) fn reference(name: &str) -> ImageReference {
    ImageReference::new(repository()).with_tag(tag(name))
}

/// What a repository holds, before it is put anywhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    tags: BTreeMap<String, Blob>,
    documents: Vec<Blob>,
    configs: Vec<Blob>,
}

impl Store {
    pub(crate) fn image(mut self, tag: &str, image: &BuiltImage) -> Self {
        self.tags.insert(tag.to_owned(), image.manifest.clone());
        self.contents(image)
    }

    pub(crate) fn index(mut self, tag: &str, index: &BuiltIndex) -> Self {
        self.tags.insert(tag.to_owned(), index.index.clone());
        for image in index.images.iter().chain(&index.attestations) {
            self = self.contents(image);
        }
        self
    }

    pub(crate) fn document(mut self, tag: &str, document: Blob) -> Self {
        self.tags.insert(tag.to_owned(), document);
        self
    }

    pub(crate) fn contents(mut self, image: &BuiltImage) -> Self {
        self.documents.push(image.manifest.clone());
        self.configs.push(image.config.clone());
        self
    }

    pub(crate) fn child(mut self, document: Blob) -> Self {
        self.documents.push(document);
        self
    }

    pub(crate) fn config(mut self, config: Blob) -> Self {
        self.configs.push(config);
        self
    }

    pub(crate) fn without(mut self, digest: &Digest) -> Self {
        self.documents.retain(|document| document.digest != *digest);
        self.configs.retain(|config| config.digest != *digest);
        self
    }

    pub(crate) fn write(&self, folder: &Path) -> LayoutWriter {
        let mut writer = LayoutWriter::create(folder).unwrap();
        for (name, document) in &self.tags {
            writer.add_document(&repository(), &tag(name), document).unwrap();
        }
        for blob in self.documents.iter().chain(&self.configs) {
            writer.put_blob(&blob.bytes).unwrap();
        }
        writer
    }

    pub(crate) async fn serve(&self) -> Fake {
        let fake = Fake::start().await;
        for document in &self.documents {
            fake.document(document.digest.as_str(), document);
        }
        // The same bytes may be served in another type under a tag.
        for (name, document) in &self.tags {
            fake.document(name, document);
        }
        for config in &self.configs {
            let answer = ResponseTemplate::new(200).set_body_raw(config.bytes.clone(), "application/octet-stream");
            fake.on("GET", &format!("blobs/{}", config.digest), [answer]);
        }
        fake
    }

    /// Asks for an image on the wire and in a layout folder; both answers, the wire's first.
    pub(crate) async fn both(&self, request: &ImageRequest) -> [Result<Resolution, Unresolved>; 2] {
        let fake = self.serve().await;
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        [resolve(&fake.registry(), request).await, resolve(&on_layout(folder.path()), request).await]
    }

    /// Asks for an image on the wire and in a layout folder, and expects the same image.
    pub(crate) async fn resolves(&self, request: &ImageRequest) -> Resolution {
        let [wire, layout] = self.both(request).await.map(Result::unwrap);
        assert_eq!(wire.image, layout.image);
        assert_eq!(wire.tried, layout.tried);
        assert_eq!(wire.warnings, layout.warnings);
        layout
    }

    /// Asks for an image on the wire and in a layout folder, and expects the same refusal.
    pub(crate) async fn refuses(&self, request: &ImageRequest) -> Unresolved {
        let [wire, layout] = self.both(request).await.map(Result::unwrap_err);
        assert_eq!(wire.reason.to_string(), layout.reason.to_string());
        assert_eq!(wire.tried, layout.tried);
        assert_eq!(wire.class(), layout.class());
        layout
    }
}

/// Answers by method and path.
type Answers = BTreeMap<(String, String), VecDeque<ResponseTemplate>>;

/// Answers in order, the last one again and again; whatever it does not know is a 404 with an empty body.
#[derive(Clone, Debug, Default)]
struct Routes(Arc<Mutex<Answers>>, Arc<Mutex<Option<Guard>>>);

/// Who may ask below `/v2/`.
#[derive(Clone, Debug)]
struct Guard {
    challenges: Vec<String>,
    accepted: Vec<String>,
}

impl Guard {
    fn refusal(&self, request: &Request) -> Option<ResponseTemplate> {
        let sent = request.headers.get("authorization").map(|value| value.to_str().unwrap());
        if !request.url.path().starts_with("/v2/") || sent.is_some_and(|sent| self.accepted.iter().any(|a| a == sent)) {
            return None;
        }
        let refusal = ResponseTemplate::new(401);
        let challenges = self.challenges.iter();
        Some(challenges.fold(refusal, |refusal, challenge| refusal.append_header("www-authenticate", challenge)))
    }
}

impl Respond for Routes {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if let Some(refusal) = self.1.lock().unwrap().as_ref().and_then(|guard| guard.refusal(request)) {
            return refusal;
        }
        let mut routes = self.0.lock().unwrap();
        let path = request.url.path().to_owned();
        let own = (request.method.to_string(), path.clone());
        // What answers GET answers HEAD, without the body, as in any web server.
        let key = if routes.contains_key(&own) { own } else { ("GET".to_owned(), path) };
        match routes.get_mut(&key) {
            None => ResponseTemplate::new(404),
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers.front().unwrap().clone(),
        }
    }
}

/// A registry on the wire.
#[derive(Debug)]
pub(crate) struct Fake {
    server: MockServer,
    routes: Routes,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let server = MockServer::start().await;
        let routes = Routes::default();
        Mock::given(any()).respond_with(routes.clone()).mount(&server).await;
        Self { server, routes }
    }

    /// Sets the answers for a path below the repository.
    pub(crate) fn on(&self, method: &str, path: &str, answers: impl IntoIterator<Item = ResponseTemplate>) {
        self.on_path(method, &format!("/v2/shop/cart/{path}"), answers);
    }

    /// Sets the answers for a whole path.
    pub(crate) fn on_path(&self, method: &str, path: &str, answers: impl IntoIterator<Item = ResponseTemplate>) {
        let key = (method.to_owned(), path.to_owned());
        self.routes.0.lock().unwrap().insert(key, answers.into_iter().collect());
    }

    /// Lets only requests with one of these `Authorization` headers in, and answers the others with the challenges.
    pub(crate) fn guard(&self, challenges: &[&str], accepted: &[&str]) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        *self.routes.1.lock().unwrap() = Some(Guard { challenges: owned(challenges), accepted: owned(accepted) });
    }

    /// Lets everybody in.
    pub(crate) fn open(&self) {
        *self.routes.1.lock().unwrap() = None;
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.server.address().to_string()
    }

    /// Serves a document under a tag or a digest, and under its digest.
    pub(crate) fn document(&self, name: &str, document: &Blob) {
        for name in [name, document.digest.as_str()] {
            self.on("GET", &format!("manifests/{name}"), [served(document)]);
        }
    }

    pub(crate) fn uri(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn registry(&self) -> Registry {
        self.registry_with(options())
    }

    pub(crate) fn registry_with(&self, mut options: RegistryOptions) -> Registry {
        options.mirrors.insert(HOST.to_owned(), Mirror::Http(self.uri().parse().unwrap()));
        Registry::new(options).unwrap()
    }

    /// What has been asked for: method and path.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().map(|request| format!("{} {}", request.method, request.url.path())).collect()
    }

    /// Counts from here on.
    pub(crate) async fn forget_requests(&self) {
        self.server.reset().await;
        Mock::given(any()).respond_with(self.routes.clone()).mount(&self.server).await;
    }

    pub(crate) async fn received(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }
}

/// A document as a good registry serves it.
pub(crate) fn served(document: &Blob) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .insert_header("docker-content-digest", document.digest.as_str())
        .set_body_raw(document.bytes.clone(), &document.media_type)
}

/// A document without a digest header.
pub(crate) fn served_bare(document: &Blob) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(document.bytes.clone(), &document.media_type)
}

/// Options with waits that tests can afford.
pub(crate) fn options() -> RegistryOptions {
    let (first_wait, longest_wait) = (Duration::from_millis(1), Duration::from_millis(2));
    let mut options = RegistryOptions::default();
    options.retry = RetryPolicy { retries: 3, first_wait, longest_wait };
    options
}

/// The options of these tests, with a folder for the cache.
pub(crate) fn options_with_cache(folder: &Path) -> RegistryOptions {
    let mut options = options();
    options.cache = Some(folder.to_owned());
    options
}

/// The options of these tests, with logins.
pub(crate) fn options_with_logins(sources: CredentialSources) -> RegistryOptions {
    let mut options = options();
    options.credentials = Credentials::load(sources).unwrap();
    options
}

/// Logins of the environment alone.
pub(crate) fn env_sources(env: Vec<EnvCredential>) -> CredentialSources {
    let mut sources = CredentialSources::default();
    sources.env = env;
    sources
}

/// A host that is spoken to over plain HTTP, or not.
pub(crate) fn plain_host(plain_http: bool) -> HostOptions {
    let mut host = HostOptions::default();
    host.plain_http = Some(plain_http);
    host
}

pub(crate) fn on_layout(folder: &Path) -> Registry {
    Registry::new(options().mirror(HOST, Mirror::OciLayout(folder.to_owned()))).unwrap()
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(crate) async fn resolve(registry: &Registry, request: &ImageRequest) -> Result<Resolution, Unresolved> {
    let requests = std::slice::from_ref(request);
    registry.resolve_all(requests, soon(), &|_| ()).await.remove(0)
}

/// A document made of JSON.
pub(crate) fn document(media_type: &str, value: &Value) -> Blob {
    Blob::json(media_type, value)
}

/// Resolves what must be refused.
pub(crate) async fn refusal(registry: &Registry) -> Unresolved {
    resolve(registry, &request(&["a"])).await.unwrap_err()
}

/// What a question failed with.
pub(crate) fn kind(unresolved: &Unresolved) -> &RegistryErrorKind {
    match &unresolved.reason {
        UnresolvedReason::Failed(error) => error.kind(),
        other => panic!("{other}"),
    }
}
