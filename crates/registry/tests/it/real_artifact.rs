//! Artefacts in a real registry that keeps no list of referrers: with passwords, with tokens that it verifies, and beside
//! another client.

use std::time::{Duration, Instant};

use lock_model::{Digest, ErrorClass};
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use registry::artifact::{Artifact, Pushed, Referrer, ReferrersBy, Scope, ScopedLogin};
use registry::credentials::Login;
use registry::layout::{Blob, IndexContent, LayoutReader, LayoutWriter};
use registry::{ClientCertificate, PemAuthority, Registry, RegistryErrorKind};
use secrecy::ExposeSecret as _;
use test_support::{DockerRegistry, DoorSettings, RegistryRelease, Skopeo, bench};

use crate::real_auth::{
    AUTHORITY, CLIENT, CLIENT_KEY, HTPASSWD, PASSWORD, SERVER, SERVER_KEY, TOKEN_SERVICE, file, registry, token_service,
};
use crate::support::{image, repository, request, resolve, soon, tag};

const PROOF: &str = "application/vnd.shop.proof.v1+json";
const BILL: &str = "application/vnd.shop.bill.v1+json";

fn proof(subject: &Digest, text: &str) -> Artifact {
    let mut proof =
        Artifact::new(PROOF).blob(Blob::new("application/json", text.as_bytes().to_vec())).subject(subject.clone());
    proof.annotations.insert("shop.text".to_owned(), text.to_owned());
    proof.parts[0].annotations.insert("org.opencontainers.image.title".to_owned(), "proof.json".to_owned());
    proof
}

async fn push(registry: &Registry, artifact: &Artifact) -> Pushed {
    registry.push_artifact(&repository(), None, artifact, soon()).await.unwrap()
}

async fn referrers(registry: &Registry, subject: &Digest, artifact_type: Option<&str>) -> Vec<Referrer> {
    registry.referrers(&repository(), subject, artifact_type, soon()).await.unwrap()
}

/// Puts our image under the tag `a`; gives its digest.
async fn push_image(registry: &Registry) -> Digest {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    writer.add_image(&repository(), &tag("a"), &image("linux/amd64")).unwrap();
    registry.push_layout(writer.reader(), &repository(), &tag("a"), soon()).await.unwrap().digest
}

/// Pushes, pulls and lists, twice; what a registry must do with whatever login it wants.
async fn goes_round(registry: &Registry) {
    let subject = push_image(registry).await;
    assert!(referrers(registry, &subject, None).await.is_empty());
    let first = push(registry, &proof(&subject, "1")).await;
    assert_eq!(first.listed_by, Some(ReferrersBy::Tag));
    assert_eq!(first.sent, 4, "the empty configuration, a blob, the manifest, the list");
    let second = push(registry, &proof(&subject, "2")).await;
    assert_eq!(second.sent, 3, "the configuration is there");
    let listed = referrers(registry, &subject, None).await;
    let digests: Vec<&Digest> = listed.iter().map(|referrer| &referrer.digest).collect();
    let mut both = [&first.digest, &second.digest];
    both.sort();
    assert_eq!(digests, both, "the first entry is still there");

    let mut again = push(registry, &proof(&subject, "1")).await;
    assert_eq!(std::mem::replace(&mut again.sent, first.sent), 0);
    assert_eq!(again, first);
    assert_eq!(referrers(registry, &subject, Some(PROOF)).await, listed);
    assert!(referrers(registry, &subject, Some(BILL)).await.is_empty());

    let pulled = registry.pull_artifact(&repository(), &first.digest, soon()).await.unwrap();
    assert_eq!((pulled.artifact_type.as_str(), pulled.subject.as_ref()), (PROOF, Some(&subject)));
    assert_eq!(pulled.parts.len(), 1);
    assert_eq!((pulled.parts[0].blob.bytes.as_slice(), pulled.config.bytes.as_slice()), (&b"1"[..], &b"{}"[..]));
    assert_eq!(pulled.parts[0].annotations["org.opencontainers.image.title"], "proof.json");
    assert_eq!(pulled.annotations["shop.text"], "1");
    let entry = listed.iter().find(|referrer| referrer.digest == first.digest).unwrap();
    assert_eq!((entry.artifact_type.as_deref(), &entry.annotations), (Some(PROOF), &pulled.annotations));
}

#[tokio::test]
async fn artefacts_go_round_in_a_registry_without_a_list_of_referrers() {
    for release in [RegistryRelease::V2, RegistryRelease::V3] {
        let server = DockerRegistry::start_release(release, &DoorSettings::default());
        let Some(server) = bench::or_skip(server) else { return };
        goes_round(&registry(&server, None, |_| ())).await;
    }
}

#[tokio::test]
async fn b6_artefacts_go_round_where_passwords_are_asked_for() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let path = file(&server, "htpasswd", HTPASSWD);
    let door = server.door(&DoorSettings {
        auth: Some(format!("{{htpasswd: {{realm: tests, path: \"{path}\"}}}}")),
        ..DoorSettings::default()
    });
    goes_round(&registry(&door, Some(Login::password("me", PASSWORD)), |_| ())).await;
    let nobody = registry(&door, None, |_| ());
    let refused = nobody.push_artifact(&repository(), None, &Artifact::new(PROOF), soon()).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::LoginNeeded { .. }), "{refused}");
    // No answer is no list.
    let refused = nobody.referrers(&repository(), &Digest::of(b"x"), None, soon()).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Denied, "{refused}");
}

/// A door where tokens of this service are asked for.
async fn token_door(
    server: &DockerRegistry,
    actions: &'static [&'static str],
) -> (DockerRegistry, wiremock::MockServer) {
    let service = token_service("registry", actions).await;
    let bundle = file(server, "bundle.pem", TOKEN_SERVICE);
    let auth = format!(
        "{{token: {{realm: \"{}/token\", service: registry, issuer: tests, rootcertbundle: \"{bundle}\"}}}}",
        service.uri()
    );
    (server.door(&DoorSettings { auth: Some(auth), ..DoorSettings::default() }), service)
}

#[tokio::test]
async fn b6_artefacts_go_round_where_tokens_are_asked_for() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let (door, service) = token_door(&server, &["pull", "push"]).await;
    goes_round(&registry(&door, Some(Login::password("me", PASSWORD)), |_| ())).await;
    let asked = service.received_requests().await.unwrap();
    assert!(asked.len() <= 2, "one token to read with, one to write with: {}", asked.len());
    // Whoever may only read is refused, and not asked again and again.
    let (door, service) = token_door(&server, &["pull"]).await;
    let reader = registry(&door, Some(Login::password("me", PASSWORD)), |_| ());
    let artifact = Artifact::new(PROOF).blob(Blob::new("text/plain", b"new".to_vec()));
    let refused = reader.push_artifact(&repository(), None, &artifact, soon()).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::LoginRefused { .. }), "{refused}");
    assert!(service.received_requests().await.unwrap().len() <= 3);
}

/// Another client, at the same registry.
fn stranger() -> Client {
    let config = ClientConfig { protocol: ClientProtocol::Http, ..ClientConfig::default() };
    Client::try_from(config).unwrap()
}

/// What `scoped_login` gives, in the words of the other client.
async fn given(registry: &Registry, scope: Scope) -> RegistryAuth {
    match registry.scoped_login(&repository(), scope, soon()).await.unwrap() {
        ScopedLogin::Anonymous => RegistryAuth::Anonymous,
        ScopedLogin::Password { user, password } => RegistryAuth::Basic(user, password.expose_secret().to_owned()),
        ScopedLogin::Token(token) => RegistryAuth::Bearer(token.expose_secret().to_owned()),
    }
}

async fn agrees_with_oci_client(door: &DockerRegistry, ours: &Registry) {
    let subject = push_image(ours).await;
    let first = push(ours, &proof(&subject, "ours")).await;

    // What we pushed and listed, the other client lists and pulls, with the login that we give it.
    let client = stranger();
    let path = "shop/cart".to_owned();
    let reference =
        |digest: &Digest| Reference::with_digest(door.address().to_owned(), path.clone(), digest.to_string());
    client.auth(&reference(&subject), &given(ours, Scope::Pull).await, RegistryOperation::Pull).await.unwrap();
    let listed = client.pull_referrers(&reference(&subject), Some(PROOF)).await.unwrap();
    let digests: Vec<&str> = listed.manifests.iter().map(|entry| entry.digest.as_str()).collect();
    assert_eq!(digests, [first.digest.as_str()]);
    let auth = given(ours, Scope::Pull).await;
    let pulled = client.pull(&reference(&first.digest), &auth, vec!["application/json"]).await.unwrap();
    assert_eq!(pulled.digest.as_deref(), Some(first.digest.as_str()));
    assert_eq!(pulled.layers[0].data.as_ref(), b"ours");

    // What the other client pushes we pull; it does not list it, so that only its own entry is missing.
    let auth = given(ours, Scope::Push).await;
    let client = stranger();
    let layers = vec![ImageLayer::new(b"theirs".to_vec(), "text/plain".to_owned(), None)];
    let config = Config::new(b"{}".to_vec(), registry::artifact::EMPTY_CONFIG.to_owned(), None);
    let mut manifest = OciImageManifest::build(&layers, &config, None);
    manifest.artifact_type = Some(BILL.to_owned());
    manifest.subject = Some(OciDescriptor {
        media_type: registry::media_type::OCI_MANIFEST.to_owned(),
        digest: subject.to_string(),
        size: i64::try_from(image("linux/amd64").build().manifest.bytes.len()).unwrap(),
        ..OciDescriptor::default()
    });
    let theirs = Reference::with_tag(door.address().to_owned(), path.clone(), "theirs".to_owned());
    client.push(&theirs, &layers, config, &auth, Some(manifest)).await.unwrap();
    let digest = Digest::try_from(client.fetch_manifest_digest(&theirs, &auth).await.unwrap()).unwrap();
    let pulled = ours.pull_artifact(&repository(), &digest, soon()).await.unwrap();
    assert_eq!((pulled.artifact_type.as_str(), pulled.subject), (BILL, Some(subject.clone())));
    assert_eq!(pulled.parts[0].blob.bytes, b"theirs");
    let digests: Vec<Digest> = referrers(ours, &subject, None).await.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [first.digest]);
}

#[tokio::test]
async fn oci_client_and_we_read_what_the_other_wrote() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    agrees_with_oci_client(&server, &registry(&server, None, |_| ())).await;
}

#[tokio::test]
async fn b6_oci_client_works_with_a_password_that_we_found() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let path = file(&server, "htpasswd", HTPASSWD);
    let door = server.door(&DoorSettings {
        auth: Some(format!("{{htpasswd: {{realm: tests, path: \"{path}\"}}}}")),
        ..DoorSettings::default()
    });
    agrees_with_oci_client(&door, &registry(&door, Some(Login::password("me", PASSWORD)), |_| ())).await;
}

#[tokio::test]
async fn b6_oci_client_works_with_a_token_that_we_asked_for() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let (door, service) = token_door(&server, &["pull", "push"]).await;
    agrees_with_oci_client(&door, &registry(&door, Some(Login::password("me", PASSWORD)), |_| ())).await;
    // The password went to the token service with our requests alone: the other client never saw it.
    for request in service.received_requests().await.unwrap() {
        let agent = request.headers.get("user-agent").unwrap().to_str().unwrap();
        assert!(agent.starts_with("orchestrator/"), "{agent}");
    }
}

#[tokio::test]
async fn t21_artefacts_go_round_where_a_client_certificate_is_asked_for() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let names = [("server.pem", SERVER), ("server.key.pem", SERVER_KEY), ("authority.pem", AUTHORITY)];
    let [certificate, key, authority] = names.map(|(name, content)| file(&server, name, content));
    let tls = format!("{{certificate: \"{certificate}\", key: \"{key}\", clientcas: [\"{authority}\"]}}");
    let door = server.door(&DoorSettings { tls: Some(tls), ..DoorSettings::default() });
    let known = registry(&door, None, |options| {
        let host = options.hosts.entry(door.address().to_owned()).or_default();
        host.authorities = vec![PemAuthority::new("authority.pem", AUTHORITY)];
        host.client_certificate = Some(ClientCertificate::new("client.pem", CLIENT, CLIENT_KEY));
    });
    goes_round(&known).await;
}

#[tokio::test]
async fn a_layout_folder_comes_into_a_registry_byte_for_byte() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let Some(skopeo) = Skopeo::find_or_skip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let index = IndexContent::new([image("linux/amd64").file("a", "a\n"), image("linux/arm64/v8")]).attestations();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let digest = writer.add_index(&repository(), &tag("a"), &index).unwrap();
    let layout = LayoutReader::open(folder.path()).unwrap();
    let ours = registry(&server, None, |_| ());
    let pushed = ours.push_layout(&layout, &repository(), &tag("a"), soon()).await.unwrap();
    assert_eq!(pushed.digest, digest);
    assert!(pushed.sent > 5);
    assert_eq!(skopeo.digest(&server, "shop/cart:a"), digest.to_string());
    assert_eq!(resolve(&ours, &request(&["a"])).await.unwrap().image.digest, digest);
    let again = ours.push_layout(&layout, &repository(), &tag("a"), soon()).await.unwrap();
    assert_eq!((again.digest, again.sent), (digest, 0));
    // A tag that is not in the folder, and a folder that lost a layer.
    let missing = ours.push_layout(&layout, &repository(), &tag("b"), soon()).await.unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound);
    let lost = image("linux/amd64").file("b", "b\n").build();
    writer.add_image(&repository(), &tag("lost"), &image("linux/amd64").file("b", "b\n")).unwrap();
    writer.remove_blob(&lost.layers[0].digest).unwrap();
    let lost = ours.push_layout(writer.reader(), &repository(), &tag("lost"), soon()).await.unwrap_err();
    assert_eq!(lost.class(), ErrorClass::NotFound, "{lost}");
    assert_eq!(resolve(&ours, &request(&["lost"])).await.unwrap_err().class(), ErrorClass::NotFound);
}

#[tokio::test]
async fn f5_many_pushes_at_once_lose_no_entry() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let ours = registry(&server, None, |_| ());
    let subject = push_image(&ours).await;
    let texts: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let artifacts: Vec<Artifact> = texts.iter().map(|text| proof(&subject, text)).collect();
    let pushes = artifacts.iter().map(|artifact| push(&ours, artifact));
    let pushed = futures_util::future::join_all(pushes).await;
    let mut expected: Vec<Digest> = pushed.into_iter().map(|pushed| pushed.digest).collect();
    expected.sort();
    let listed: Vec<Digest> = referrers(&ours, &subject, None).await.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_push_ends_with_its_deadline() {
    let Some(server) = DockerRegistry::start_or_skip() else { return };
    let ours = registry(&server, None, |_| ());
    let past = Instant::now() + Duration::from_nanos(1);
    let refused = ours.push_artifact(&repository(), None, &Artifact::new(PROOF), past).await.unwrap_err();
    assert!(matches!(refused.kind(), RegistryErrorKind::Deadline { .. }), "{refused}");
}
