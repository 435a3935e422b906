//! Real doors: docker-registry with passwords, with tokens that it verifies, with TLS of a private authority.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use lock_model::ErrorClass;
use registry::credentials::{EnvCredential, Login};
use registry::layout::LayoutWriter;
use registry::{
    ClientCertificate, Credentials, Mirror, PemAuthority, Registry, RegistryErrorKind, RegistryOptions,
    UnresolvedReason,
};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use test_support::{DockerRegistry, DoorSettings, Skopeo};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{HOST, env_sources, image, options, repository, request, resolve, tag};

// Made for these tests alone, good until 2120: an authority with a certificate for 127.0.0.1 and one for a client, and
// the self-signed certificate of a token service.
pub(crate) const AUTHORITY: &str = include_str!("../fixtures/authority.pem");
pub(crate) const SERVER: &str = include_str!("../fixtures/server.pem");
pub(crate) const SERVER_KEY: &str = include_str!("../fixtures/server.key.pem");
pub(crate) const CLIENT: &str = include_str!("../fixtures/client.pem");
pub(crate) const CLIENT_KEY: &str = include_str!("../fixtures/client.key.pem");
pub(crate) const TOKEN_SERVICE: &str = include_str!("../fixtures/token.pem");
const TOKEN_SERVICE_KEY: &str = include_str!("../fixtures/token.key.pem");

pub(crate) const PASSWORD: &str = "canary-password";
/// `PASSWORD` as `htpasswd -B` writes it.
pub(crate) const HTPASSWD: &str = "me:$2a$05$gUS5zpy.ZdyEnPY13z0V4.EpJH6wlkwioJwxU3ljFHc6tYjXF5IRa\n";

/// A registry without a door, with our image in it.
pub(crate) fn filled() -> Option<DockerRegistry> {
    let server = DockerRegistry::start_or_skip()?;
    let skopeo = Skopeo::find_or_skip()?;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    writer.add_image(&repository(), &tag("a"), &image("linux/amd64")).unwrap();
    skopeo.push_layout(folder.path(), &format!("{}:a", repository()), &server, "shop/cart:a");
    Some(server)
}

pub(crate) fn file(server: &DockerRegistry, name: &str, content: &str) -> String {
    let path = server.folder().join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

pub(crate) fn registry(
    server: &DockerRegistry,
    login: Option<Login>,
    change: impl FnOnce(&mut RegistryOptions),
) -> Registry {
    let mut options = options();
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(server.url().parse().unwrap()));
    let env: Vec<EnvCredential> =
        login.into_iter().map(|login| EnvCredential::new("V", server.address(), login)).collect();
    options.credentials = Credentials::load(env_sources(env)).unwrap();
    change(&mut options);
    Registry::new(options).unwrap()
}

async fn kind_of_refusal(registry: &Registry) -> RegistryErrorKindShown {
    let unresolved = resolve(registry, &request(&["a"])).await.unwrap_err();
    let UnresolvedReason::Failed(error) = &unresolved.reason else { panic!("{}", unresolved.reason) };
    assert_eq!(unresolved.class(), ErrorClass::Denied, "{error:?}");
    let name = match error.kind() {
        RegistryErrorKind::LoginNeeded { .. } => "login needed",
        RegistryErrorKind::LoginRefused { .. } => "login refused",
        RegistryErrorKind::Untrusted { .. } => "untrusted",
        other => panic!("{other:?}"),
    };
    (name, error.to_string())
}

type RegistryErrorKindShown = (&'static str, String);

#[tokio::test]
async fn b6_a_real_registry_with_passwords() {
    let Some(server) = filled() else { return };
    let path = file(&server, "htpasswd", HTPASSWD);
    let door = server.door(&DoorSettings {
        auth: Some(format!("{{htpasswd: {{realm: tests, path: \"{path}\"}}}}")),
        ..DoorSettings::default()
    });
    let nobody = registry(&door, None, |_| ());
    assert_eq!(kind_of_refusal(&nobody).await.0, "login needed");
    let wrong = registry(&door, Some(Login::password("me", "wrong")), |_| ());
    assert_eq!(kind_of_refusal(&wrong).await.0, "login refused");
    let right = registry(&door, Some(Login::password("me", PASSWORD)), |_| ());
    let image = resolve(&right, &request(&["a"])).await.unwrap().image;
    assert_eq!(image, resolve(&registry(&server, None, |_| ()), &request(&["a"])).await.unwrap().image);
}

/// A token service: signs what is asked for, for whoever knows the password.
struct TokenService {
    key: RsaKeyPair,
    audience: &'static str,
    /// What is granted, whatever is asked for.
    actions: &'static [&'static str],
}

impl Respond for TokenService {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        if asked != Some(format!("Basic {}", base64(format!("me:{PASSWORD}"), Alphabet::Standard))) {
            return ResponseTemplate::new(401);
        }
        let scopes = request.url.query_pairs().filter(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned());
        let access: Vec<_> = scopes
            .filter_map(|scope| {
                let [kind, name, _] = scope.split(':').collect::<Vec<_>>().try_into().ok()?;
                Some(json!({ "type": kind, "name": name, "actions": self.actions }))
            })
            .collect();
        let certificate: String = TOKEN_SERVICE.lines().filter(|line| !line.starts_with('-')).collect();
        let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
        // No clock in the tests: a token that has been good since 2020 and stays so until 2100.
        let claims = json!({
            "iss": "tests", "sub": "me", "aud": self.audience, "jti": "1",
            "nbf": 1_577_836_800, "iat": 1_577_836_800, "exp": 4_102_444_800_u64, "access": access,
        });
        let signed = format!(
            "{}.{}",
            base64(header.to_string(), Alphabet::UrlSafe),
            base64(claims.to_string(), Alphabet::UrlSafe)
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        let token = format!("{signed}.{}", base64(signature, Alphabet::UrlSafe));
        ResponseTemplate::new(200).set_body_json(json!({ "token": token, "expires_in": 300 }))
    }
}

#[derive(Clone, Copy)]
enum Alphabet {
    Standard,
    UrlSafe,
}

fn base64(bytes: impl AsRef<[u8]>, alphabet: Alphabet) -> String {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    match alphabet {
        Alphabet::Standard => STANDARD.encode(bytes),
        Alphabet::UrlSafe => URL_SAFE_NO_PAD.encode(bytes),
    }
}

pub(crate) async fn token_service(audience: &'static str, actions: &'static [&'static str]) -> MockServer {
    let key: String = TOKEN_SERVICE_KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
    let key = RsaKeyPair::from_pkcs8(&key).unwrap();
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(TokenService { key, audience, actions }).mount(&server).await;
    server
}

#[tokio::test]
async fn b6_a_real_registry_that_verifies_tokens() {
    let Some(server) = filled() else { return };
    for (audience, actions, works) in
        [("registry", &["pull"][..], true), ("another", &["pull"][..], false), ("registry", &["push"][..], false)]
    {
        let service = token_service(audience, actions).await;
        let bundle = file(&server, "bundle.pem", TOKEN_SERVICE);
        let auth = format!(
            "{{token: {{realm: \"{}/token\", service: registry, issuer: tests, rootcertbundle: \"{bundle}\"}}}}",
            service.uri()
        );
        let door = server.door(&DoorSettings { auth: Some(auth), ..DoorSettings::default() });
        let right = registry(&door, Some(Login::password("me", PASSWORD)), |_| ());
        if works {
            resolve(&right, &request(&["a"])).await.unwrap();
            let asked = service.received_requests().await.unwrap();
            assert_eq!(asked.len(), 1, "one token for HEAD, GET, configuration and the second look");
            let wrong = registry(&door, Some(Login::password("me", "wrong")), |_| ());
            assert_eq!(kind_of_refusal(&wrong).await.0, "login refused");
            assert_eq!(kind_of_refusal(&registry(&door, None, |_| ())).await.0, "login needed");
        } else {
            let (kind, text) = kind_of_refusal(&right).await;
            assert_eq!(kind, "login refused", "{text}");
            assert_eq!(service.received_requests().await.unwrap().len(), 1, "not asked again and again");
        }
    }
}

#[tokio::test]
async fn t21_a_real_registry_of_a_private_authority_that_asks_who_we_are() {
    let Some(server) = filled() else { return };
    let names = [("server.pem", SERVER), ("server.key.pem", SERVER_KEY), ("authority.pem", AUTHORITY)];
    let [certificate, key, authority] = names.map(|(name, content)| file(&server, name, content));
    let tls = format!("certificate: \"{certificate}\", key: \"{key}\"");
    let open = server.door(&DoorSettings { tls: Some(format!("{{{tls}}}")), ..DoorSettings::default() });
    let closed = server.door(&DoorSettings {
        tls: Some(format!("{{{tls}, clientcas: [\"{authority}\"]}}")),
        ..DoorSettings::default()
    });
    let trusted = || vec![PemAuthority::new("authority.pem", AUTHORITY)];
    let shown = || ClientCertificate::new("client.pem", CLIENT, CLIENT_KEY);
    let stranger = registry(&open, None, |_| ());
    assert_eq!(kind_of_refusal(&stranger).await.0, "untrusted");

    // Trusted everywhere, or at this host alone.
    for everywhere in [true, false] {
        let trusting = registry(&open, None, |options| {
            if everywhere {
                options.authorities = trusted();
            } else {
                options.hosts.entry(open.address().to_owned()).or_default().authorities = trusted();
            }
        });
        resolve(&trusting, &request(&["a"])).await.unwrap();
    }
    let other_host = registry(&open, None, |options| {
        options.hosts.entry("registry.corp".to_owned()).or_default().authorities = trusted();
    });
    assert_eq!(kind_of_refusal(&other_host).await.0, "untrusted");

    let known = registry(&closed, None, |options| {
        let host = options.hosts.entry(closed.address().to_owned()).or_default();
        (host.authorities, host.client_certificate) = (trusted(), Some(shown()));
    });
    resolve(&known, &request(&["a"])).await.unwrap();
    let unknown = registry(&closed, None, |options| {
        options.authorities = trusted();
        options.retry.retries = 0;
    });
    let unresolved = resolve(&unknown, &request(&["a"])).await.unwrap_err();
    // The alert is lost where the connection ends before the request is sent.
    let UnresolvedReason::Failed(error) = &unresolved.reason else { panic!("{unresolved:?}") };
    let said = error.kind().in_short();
    let is_told = said.contains("asks for a certificate of ours") && unresolved.class() == ErrorClass::Denied;
    assert!(is_told || error.kind().ended_by_host(), "{unresolved:?}");
    assert!(Path::new(&authority).exists());
}
