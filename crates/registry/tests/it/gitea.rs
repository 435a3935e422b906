//! Gitea's registry, whose token service is its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use lock_model::{ErrorClass, ImageReference, ImageRepository};
use registry::credentials::{EnvCredential, Login, LoginSource};
use registry::layout::{IndexContent, LayoutWriter};
use registry::{CredentialSources, ImageRequest, Registry, RegistryErrorKind, Unresolved};
use secrecy::SecretString;
use serde_json::json;
use test_support::{Gitea, GiteaUser, Nginx, Peer, Skopeo, Visibility};

use crate::support::{env_sources, image, options_with_logins, platform, repository, request, resolve, soon, tag};

/// A user of the shared Gitea, with images of its own.
struct Owner {
    gitea: &'static Gitea,
    user: GiteaUser,
}

impl Owner {
    /// Makes the user, and pushes an index to each repository with a token that may write packages.
    fn new(name: &str, visibility: Visibility, repositories: &[&str]) -> Option<Self> {
        let gitea = Gitea::shared_or_skip()?;
        let skopeo = Skopeo::find_or_skip()?;
        let user = gitea.add_user(name, visibility);
        let token = gitea.add_token(&user, "writer", &["write:package"]);
        let folder = tempfile::tempdir().unwrap();
        let mut writer = LayoutWriter::create(folder.path()).unwrap();
        let index = IndexContent::new([image("linux/amd64"), image("linux/arm64/v8")]).attestations();
        writer.add_index(&repository(), &tag("a"), &index).unwrap();
        for below in repositories {
            let (from, to) = (format!("{}:a", repository()), format!("{name}/{below}:a"));
            skopeo.push_layout_to(folder.path(), &from, gitea.address(), &to, Some(&format!("{name}:{token}")));
        }
        Some(Self { gitea, user })
    }

    /// The image in one of the repositories, asked for at an address.
    fn request(&self, address: &str, below: &str) -> ImageRequest {
        let repository = ImageRepository::try_from(format!("{address}/{}/{below}", self.user.name)).unwrap();
        let mut wanted = request(&[]);
        wanted.candidates = vec![ImageReference::new(repository).with_tag(tag("a"))];
        wanted.platforms.push(platform("linux/arm64"));
        wanted
    }

    fn env(&self, address: &str, password: &str) -> CredentialSources {
        let login = Login::password(&self.user.name, password);
        env_sources(vec![EnvCredential::new("REGISTRY_PASSWORD", address, login)])
    }
}

fn registry(sources: CredentialSources) -> Registry {
    Registry::new(options_with_logins(sources)).unwrap()
}

fn kind(unresolved: &Unresolved) -> &RegistryErrorKind {
    assert_eq!(unresolved.class(), ErrorClass::Denied, "{}", unresolved.reason);
    crate::support::kind(unresolved)
}

#[tokio::test]
async fn b3_b6_gitea_takes_the_login_from_a_docker_configuration_and_crane_agrees() {
    let Some(owner) = Owner::new("filed", Visibility::Private, &["cart"]) else { return };
    let Some(crane) = Peer::find_or_skip("crane") else { return };
    let address = owner.gitea.address();
    let login = format!("{}:{}", owner.user.name, owner.user.password);
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    let path = crane.docker_config(&json!({ "auths": { address: { "auth": auth } } }).to_string());

    let mut sources = CredentialSources::default();
    sources.files = vec![path.clone()];
    let registry = registry(sources);
    let found = resolve(&registry, &owner.request(address, "cart")).await.unwrap().image;
    let logins = registry.logins();
    assert_eq!(logins.iter().map(|login| &login.trace.source).collect::<Vec<_>>(), [&LoginSource::File { path }]);
    let name = format!("{address}/{}/cart:a", owner.user.name);
    assert_eq!(crane.run(&["digest", &name]), found.digest.as_str());
    for (platform, digest) in &found.platforms {
        assert_eq!(crane.run(&["digest", "--platform", platform.as_str(), &name]), digest.as_str());
    }
    assert_eq!(found.platforms.len(), 2);
}

#[tokio::test]
async fn b6_b7_gitea_takes_a_token_from_variables() {
    let Some(owner) = Owner::new("spelled", Visibility::Private, &["cart"]) else { return };
    let address = owner.gitea.address();
    let token = owner.gitea.add_token(&owner.user, "reader", &["read:package"]);
    let pairs = [("R_HOST_1", address), ("R_USERNAME_1", &owner.user.name), ("R_PASSWORD_1", &token)];
    let variables: BTreeMap<String, SecretString> =
        pairs.into_iter().map(|(name, value)| (name.to_owned(), SecretString::from(value))).collect();
    let explicit = EnvCredential::from_variables("R", &variables).unwrap();
    let registry = registry(env_sources(explicit));
    resolve(&registry, &owner.request(address, "cart")).await.unwrap();
    let source = LoginSource::Env { name: "R_PASSWORD_1".to_owned() };
    assert_eq!(registry.logins().into_iter().map(|login| login.trace.source).collect::<Vec<_>>(), [source]);
}

#[tokio::test]
async fn b6_gitea_gives_nobody_a_token_for_what_everybody_may_see() {
    let Some(owner) = Owner::new("open", Visibility::Public, &["cart"]) else { return };
    let registry = registry(CredentialSources::default());
    let found = resolve(&registry, &owner.request(owner.gitea.address(), "cart")).await.unwrap();
    assert_eq!(found.image.platforms.len(), 2);
    let sources = registry.logins().into_iter().map(|login| login.trace.source).collect::<Vec<_>>();
    assert_eq!(sources, [LoginSource::Anonymous], "the door is not open: a token is asked for");
}

#[tokio::test]
async fn b6_gitea_refuses_nobody_a_stranger_and_a_wrong_password() {
    let Some(owner) = Owner::new("closed", Visibility::Private, &["cart"]) else { return };
    let address = owner.gitea.address();
    let wanted = owner.request(address, "cart");
    let nobody = resolve(&registry(CredentialSources::default()), &wanted).await.unwrap_err();
    assert!(
        matches!(kind(&nobody), RegistryErrorKind::LoginNeeded { .. } | RegistryErrorKind::Refused { .. }),
        "{}",
        nobody.reason
    );
    let wrong = resolve(&registry(owner.env(address, "canary-wrong")), &wanted).await.unwrap_err();
    assert!(matches!(kind(&wrong), RegistryErrorKind::LoginRefused { .. }), "{}", wrong.reason);
    assert!(!format!("{wrong:?}").contains("canary"), "{wrong:?}");

    let stranger = Owner { gitea: owner.gitea, user: owner.gitea.add_user("stranger", Visibility::Public) };
    let sources = stranger.env(address, &stranger.user.password);
    let other = resolve(&registry(sources), &wanted).await.unwrap_err();
    assert!(
        matches!(kind(&other), RegistryErrorKind::LoginRefused { .. } | RegistryErrorKind::Refused { .. }),
        "{}",
        other.reason
    );
}

#[tokio::test]
async fn b6_gitea_is_asked_for_one_token_a_repository() {
    const REPOSITORIES: [&str; 3] = ["cart", "web", "mail"];
    let Some(owner) = Owner::new("counted", Visibility::Private, &REPOSITORIES) else { return };
    let block = format!("location / {{ proxy_pass {}; proxy_set_header Host $http_host; }}", owner.gitea.url());
    let Some(front) = Nginx::start_or_skip("", &block) else { return };
    let registry = registry(owner.env(front.address(), &owner.user.password));
    let wanted = REPOSITORIES.map(|below| owner.request(front.address(), below));
    for answer in registry.resolve_all(&wanted, soon(), &|_| ()).await {
        answer.unwrap_or_else(|unresolved| panic!("{unresolved}"));
    }
    // A connection that lies ready would hold nginx back.
    drop(registry);
    let log = front.stop();
    let asked: Vec<&str> = log.iter().filter(|line| line.contains(" /v2/token")).map(String::as_str).collect();
    // Gitea names one scope, `*`, for everything; a token is kept for the repository that it was asked for.
    assert_eq!(asked.len(), REPOSITORIES.len(), "{log:#?}");
    assert!(asked.iter().all(|line| line.contains(" 200 GET ") && line.contains("&scope=* ")), "{asked:#?}");
    assert!(log.len() > 4 * REPOSITORIES.len(), "one token served many requests: {log:#?}");
}
