//! What to do about an image that cannot be locked, by its cause.

use std::path::PathBuf;

use lock_model::{CONFIG_FILE, CommitId, ErrorClass};
use registry::credentials::{EnvCredential, FailedHelper, LoginSource};
use registry::layout::LayoutErrorKind;
use registry::{
    AttemptOutcome, CertificateFault, Proxies, ProxyFault, RegistryErrorKind, Unresolved, UnresolvedReason,
};

use crate::image_failure::Patience;
use crate::registry_client::RegistryAccess;
use crate::starter::SOME_REGISTRY;

/// What to do about a service that has no image.
pub(crate) fn hint(failure: &Unresolved, patience: Patience, access: &RegistryAccess) -> String {
    match &failure.reason {
        UnresolvedReason::AllMissing => {
            let all = |outcome: &AttemptOutcome| failure.tried.iter().all(|attempt| attempt.outcome == *outcome);
            if all(&AttemptOutcome::PageMissing) {
                return page_hint();
            }
            missing_hint(all(&AttemptOutcome::RepositoryMissing), patience).to_owned()
        }
        reason => reason_hint(reason, access),
    }
}

/// What to do about answers that no registry gives.
fn page_hint() -> String {
    "make sure that a registry answers under this name, and not a web page, a login page or a proxy before it"
        .to_owned()
}

/// What to do about an image that does not exist, or about a repository that does not, or is empty.
fn missing_hint(is_repository: bool, patience: Patience) -> &'static str {
    match (is_repository, patience) {
        (true, Patience::None | Patience::Over) => {
            "no image was ever published there: correct `repository` in `images:` of orchestrator.yaml, or give a service \
             without an image `kind: configuration` in `services:`"
        }
        (false, Patience::None) => {
            "run the same command again once the service's CI has published the image; `lock generate` and `lock publish` \
             wait for it with `--wait 10m`"
        }
        (false, Patience::Over) => {
            "the service's CI did not publish it in that time: look at its run for this commit, compare the tag that it \
             pushes with `tags` in `images:`, and ask with `lock check --check-pushed` whether the commit was pushed"
        }
        (_, Patience::Useless) => "the registry no longer has what the older lock names: build that commit again",
    }
}

/// What to do about any other reason.
fn reason_hint(reason: &UnresolvedReason, access: &RegistryAccess) -> String {
    match reason {
        UnresolvedReason::NoCandidates => {
            "say where the image lies: `repository` and `tags` in `images:` of orchestrator.yaml".to_owned()
        }
        UnresolvedReason::OtherRevision { found, .. } => {
            let named: Vec<Option<&str>> = found.iter().map(|image| image.revision.as_deref()).collect();
            revision_hint(&named).to_owned()
        }
        UnresolvedReason::Failed(error) => kind_hint(error.kind(), access),
        _ => "`orchestrator images explain SERVICE` shows each request with its answer".to_owned(),
    }
}

/// What to do about images that name these revisions, and not the commit.
fn revision_hint(named: &[Option<&str>]) -> &'static str {
    if named.iter().flatten().any(|revision| CommitId::try_from(*revision).is_ok()) {
        "the tag holds the image of another commit: build the locked commit again, or move the gitlink to the commit that \
         was built"
    } else if named.iter().any(Option::is_some) {
        "let the build set the label `org.opencontainers.image.revision` to the commit id in full and to nothing else: no \
         short id, no tag, no address, nothing before or behind it"
    } else {
        "let the build set the label `org.opencontainers.image.revision` to the full commit id (a build argument that is \
         not set leaves it empty), or set `revision: warn` for images that cannot"
    }
}

/// What to do about an answer of a registry.
pub(crate) fn kind_hint(kind: &RegistryErrorKind, access: &RegistryAccess) -> String {
    match kind {
        RegistryErrorKind::LoginNeeded { host, login, .. } | RegistryErrorKind::LoginRefused { host, login, .. } => {
            login_hint(host, &login.source, login.failed_helper.as_ref(), access)
        }
        RegistryErrorKind::Refused { host, .. } => {
            format!(
                "the login needs permission to read this repository at `{host}`; some registries say so of one that does not exist"
            )
        }
        RegistryErrorKind::Realm { host, .. } => format!(
            "the administrator of `{host}` has to configure a token service at a public https address; for a registry on this \
             machine, set `registries.HOST.plain-http`"
        ),
        RegistryErrorKind::TokenAnswer { host, .. } => {
            format!(
                "no login helps against a token service that is broken: ask the administrator of `{host}`, or look at the proxy before it"
            )
        }
        RegistryErrorKind::UnknownHost { host, .. } if host.split(':').next() == Some(SOME_REGISTRY) => format!(
            "`{SOME_REGISTRY}` stands for the registry that `config init` could not know: name yours in `images.repository` \
             of {CONFIG_FILE}"
        ),
        RegistryErrorKind::UnknownHost { host, .. } => format!(
            "correct the host in `images:` or `registries:` of {CONFIG_FILE}; where `{host}` is right, this machine's name \
             server has to know it"
        ),
        RegistryErrorKind::Proxy { host, proxy, fault, .. } => proxy_hint(host, proxy, *fault, &access.proxies),
        RegistryErrorKind::Untrusted { host, fault, .. } => certificate_hint(host, fault),
        RegistryErrorKind::ClientCertificate { host, .. } => format!(
            "give `certificate` and `key` in `registries.\"{host}\".client-certificate` of {CONFIG_FILE}; one that is given \
             already must be valid and signed by an authority that `{host}` trusts"
        ),
        RegistryErrorKind::NoCommonTls { host, .. } => format!(
            "the operator of `{host}` must offer TLS 1.2 or 1.3; some servers answer so too where \
             `registries.\"{host}\".client-certificate` is missing"
        ),
        RegistryErrorKind::StorageRefused { host, from, .. } => format!(
            "no login goes to `{host}`: the operator of `{from}` must look at the signed addresses that it redirects to (the \
             key, the clock, how long they hold), or at what filters requests on the way"
        ),
        RegistryErrorKind::DigestDiffers { .. } => {
            "the bytes were changed on the way or in the registry's storage: look at the proxy or cache before the \
             registry, and ask without it; a new build of the image does not help"
                .to_owned()
        }
        RegistryErrorKind::NotARegistry { .. } => page_hint(),
        RegistryErrorKind::Busy { retry_after: Some(wait), .. } if wait.as_secs() > 0 => {
            format!("temporary: run the same command again in {} s", wait.as_secs())
        }
        RegistryErrorKind::PlatformMissing { .. } => {
            "build the image for these platforms, or correct `platforms:` in orchestrator.yaml".to_owned()
        }
        RegistryErrorKind::Moved { .. } => {
            "somebody pushed the tag meanwhile: run the same command again when the build is done".to_owned()
        }
        RegistryErrorKind::Missing
        | RegistryErrorKind::Gone { .. }
        | RegistryErrorKind::ChildMissing { .. }
        | RegistryErrorKind::PlatformTwice { .. }
        | RegistryErrorKind::PlatformDiffers { .. }
        | RegistryErrorKind::SizeDiffers { .. }
        | RegistryErrorKind::NotAnImage { .. }
        | RegistryErrorKind::TooLarge { .. } => {
            "build and push the image again: what the registry holds under this tag cannot be used".to_owned()
        }
        RegistryErrorKind::Status { host, status: 400, .. } | RegistryErrorKind::Unreachable { host, .. }
            if may_want_tls(host, kind) =>
        {
            let start = if kind.class() == ErrorClass::Temporary { "run the same command again; " } else { "" };
            format!(
                "{start}a registry on this machine is asked without TLS: where `{host}` has it, give its `ca`, or \
                 `plain-http: false`, in `registries.\"{host}\"` of {CONFIG_FILE}"
            )
        }
        RegistryErrorKind::Unreachable { host, .. } if kind.ended_by_host() => format!(
            "temporary: run the same command again; a server that asks for a certificate of ours ends connections so where \
             `registries.\"{host}\".client-certificate` is missing"
        ),
        RegistryErrorKind::Status { host, .. } | RegistryErrorKind::Redirect { host, .. } => {
            format!("make sure that `{host}` is a registry and not a web page or a proxy before it")
        }
        RegistryErrorKind::Layout(error) if matches!(error.kind(), LayoutErrorKind::NoFolder) => format!(
            "correct `oci-layout:` in `registries.HOST.mirror` of {CONFIG_FILE}, which is relative to the top folder of the \
             repository, or make the folder with a tool that names each image by repository and tag"
        ),
        RegistryErrorKind::Layout(_) => {
            "correct the folder that `registries.HOST.mirror` names, or write it again with a tool that names each \
             image by repository and tag"
                .to_owned()
        }
        kind => match kind.class() {
            ErrorClass::Temporary => "temporary: run the same command again".to_owned(),
            ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Storage | ErrorClass::Invalid | ErrorClass::Bug => {
                "`orchestrator images explain SERVICE` shows each request with its answer".to_owned()
            }
        },
    }
}

/// What to do about a proxy that does not pass a request on.
fn proxy_hint(host: &str, proxy: &str, fault: ProxyFault, proxies: &Proxies) -> String {
    let is_https = proxies.https.as_ref().and_then(|url| url.host_str()).is_some_and(|name| proxy.starts_with(name));
    let variable = if is_https { "HTTPS_PROXY" } else { "HTTP_PROXY" };
    let without = format!("where `{host}` is reached without a proxy, name it in `NO_PROXY`");
    match fault {
        ProxyFault::Login => {
            format!("give `{variable}` a login that the proxy takes, as `http://USER:PASSWORD@{proxy}`; {without}")
        }
        ProxyFault::Refused { .. } => format!("who runs the proxy has to allow `{host}`; {without}"),
        ProxyFault::UnknownHost => format!("correct the name in `{variable}`; {without}"),
        // No connection to the proxy, or from it; `ProxyFault` may have more one day.
        _ => format!(
            "run the same command again; where it stays so, look at `{variable}` and at the proxy's log; {without}"
        ),
    }
}

/// What to do about a server's certificate.
fn certificate_hint(host: &str, fault: &CertificateFault) -> String {
    match fault {
        CertificateFault::Expired { .. } => {
            format!("the operator of `{host}` must renew it; it is judged by this machine's clock")
        }
        CertificateFault::Early { .. } => {
            format!("look at this machine's clock; where it is right, the operator of `{host}` must replace it")
        }
        CertificateFault::OtherName { .. } => format!(
            "ask `{host}` by a name that its certificate has (`images:` or `mirror` in {CONFIG_FILE}), or have this name \
             added to the certificate's `subjectAltName`"
        ),
        CertificateFault::Unfit { .. } => format!(
            "the operator of `{host}` must have it made anew: of version 3, with the host in `subjectAltName`, for \
             `serverAuth`, and signed with a common algorithm"
        ),
        // An issuer that is not known; `CertificateFault` may have more one day.
        _ => format!(
            "name the authority that signed it, or the certificate itself where it signs itself: `registries.\"{host}\".ca` \
             in {CONFIG_FILE}, or `ORCHESTRATOR_CA_FILE`"
        ),
    }
}

/// Whether an answer is what a server with TLS gives to a request without it: 400, or the end of the connection.
fn may_want_tls(host: &str, kind: &RegistryErrorKind) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_here = name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") || name == "[::1]";
    let said = kind.in_short().to_ascii_lowercase();
    is_here && !["refused", "tls", "certificate"].iter().any(|word| said.contains(word))
}

/// What to do about a registry that takes no request with this login.
fn login_hint(host: &str, source: &LoginSource, failed: Option<&FailedHelper>, access: &RegistryAccess) -> String {
    if *source != LoginSource::Anonymous {
        return format!("renew the login for `{host}` that comes from {source}");
    }
    if let Some(FailedHelper { program, path, asked, .. }) = failed {
        let start = asked.as_ref().map_or_else(
            || format!("put `{program}` on `PATH`"),
            |server| {
                format!("`echo {server} | {program} get` prints what it lacks, which is not repeated here, since it may be secret")
            },
        );
        return format!(
            "{start}; or take it out of `credsStore` or `credHelpers` of `{}`: `ORCHESTRATOR_REGISTRY_HOST` and its companions \
             need no helper",
            path.display()
        );
    }
    without_port(host, &access.env_credentials).unwrap_or_else(|| {
        format!(
            "log in with `docker login {host}` or `podman login {host}`, or set `ORCHESTRATOR_REGISTRY_HOST` and its \
             companions; {}",
            looked_in(&access.login_files)
        )
    })
}

/// What to do where a login of the environment names this host, and not its port.
fn without_port(host: &str, logins: &[EnvCredential]) -> Option<String> {
    let (name, port) = host.rsplit_once(':')?;
    let login = logins.iter().find(|login| login.registry.split('/').next() == Some(name))?;
    Some(format!(
        "the login of `{}` is for `{}`: with port {port} it is another registry; the variable `…_HOST` must name `{host}`",
        login.name, login.registry
    ))
}

/// Which files were looked at for logins, docker's and podman's: none after the first that exists.
fn looked_in(files: &[PathBuf]) -> String {
    let first = files.iter().position(|file| file.is_file()).unwrap_or(files.len());
    let shown: Vec<String> = files
        .iter()
        .enumerate()
        .map(|(at, file)| {
            let remark = match at.cmp(&first) {
                std::cmp::Ordering::Less => " (absent)",
                std::cmp::Ordering::Equal => "",
                std::cmp::Ordering::Greater => " (not read: only the first that exists is)",
            };
            format!("`{}`{remark}", file.display())
        })
        .collect();
    if shown.is_empty() { "no file with logins is known".to_owned() } else { format!("looked in {}", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::image_failure::host_failure_of_kind;

    /// The hint of each answer, by the words that tell it from the others.
    #[test]
    fn each_cause_has_its_own_hint() {
        let host = || "registry.example".to_owned();
        let digest = || lock_model::Digest::of(b"x");
        let files = vec![PathBuf::from("/nowhere/config.json")];
        let mut access = RegistryAccess { login_files: files.clone(), ..RegistryAccess::default() };
        access.proxies.https = "http://proxy.corp:3128".parse().ok();
        let no_name = || io::Error::other("Name or service not known").into();
        let proxy =
            |fault| RegistryErrorKind::Proxy { host: host(), proxy: "proxy.corp:3128".to_owned(), fault, source: None };
        let untrusted = |fault| RegistryErrorKind::Untrusted { host: host(), fault, cause: no_name() };
        let unknown = |host: &str| RegistryErrorKind::UnknownHost { host: host.to_owned(), source: no_name() };
        let cases = [
            (unknown("registry.example.com:5000"), "`images.repository`"),
            (unknown("registry.shop.example"), "correct the host"),
            (proxy(ProxyFault::Login), "as `http://USER:PASSWORD@proxy.corp:3128`"),
            (proxy(ProxyFault::Refused { status: 403 }), "has to allow `registry.example`"),
            (proxy(ProxyFault::UnknownHost), "correct the name in `HTTPS_PROXY`"),
            (proxy(ProxyFault::Unreachable), "run the same command again"),
            (untrusted(CertificateFault::UnknownIssuer), "`registries.\"registry.example\".ca`"),
            (untrusted(CertificateFault::Expired { until: None }), "must renew it"),
            (untrusted(CertificateFault::Early { from: None }), "this machine's clock"),
            (untrusted(CertificateFault::OtherName { names: Vec::new() }), "`subjectAltName`"),
            (untrusted(CertificateFault::Unfit { reason: "x".to_owned() }), "version 3"),
            (RegistryErrorKind::ClientCertificate { host: host(), cause: no_name() }, ".client-certificate`"),
            (RegistryErrorKind::NoCommonTls { host: host(), cause: no_name() }, "TLS 1.2 or 1.3"),
            (RegistryErrorKind::TokenAnswer { host: host(), reason: "holds none".to_owned() }, "no login helps"),
            (RegistryErrorKind::PlatformMissing { wanted: Vec::new(), available: Vec::new() }, "`platforms:`"),
            (RegistryErrorKind::Gone { digest: digest() }, "push the image again"),
            (RegistryErrorKind::Moved { before: digest(), after: None }, "meanwhile"),
            (RegistryErrorKind::NotAnImage { reason: "x".to_owned() }, "push the image again"),
            (RegistryErrorKind::NotARegistry { reason: "x".to_owned() }, "a web page"),
            (RegistryErrorKind::DigestDiffers { reported: digest(), hashed: digest() }, "proxy or cache"),
            (RegistryErrorKind::SizeDiffers { digest: digest(), reported: 1, actual: 2 }, "push the image again"),
            (
                RegistryErrorKind::StorageRefused { host: host(), from: host(), status: 403, detail: String::new() },
                "no login goes to",
            ),
            (
                RegistryErrorKind::Busy {
                    host: host(),
                    status: 429,
                    retry_after: Some(std::time::Duration::from_secs(3600)),
                },
                "again in 3600 s",
            ),
            (RegistryErrorKind::Status { host: host(), status: 404, detail: String::new() }, "is a registry"),
            (
                RegistryErrorKind::Status { host: "localhost:5000".to_owned(), status: 400, detail: String::new() },
                "`plain-http: false`",
            ),
            (
                RegistryErrorKind::Unreachable {
                    host: "[::1]:5000".to_owned(),
                    source: io::Error::other("Connection reset by peer").into(),
                },
                "`plain-http: false`",
            ),
            (
                RegistryErrorKind::Unreachable {
                    host: "localhost:5000".to_owned(),
                    source: io::Error::other("Connection refused").into(),
                },
                "temporary",
            ),
            (
                RegistryErrorKind::Unreachable {
                    host: host(),
                    source: io::Error::other(io::Error::other("connection closed")).into(),
                },
                ".client-certificate`",
            ),
            (
                RegistryErrorKind::Unreachable {
                    host: host(),
                    source: io::Error::from(io::ErrorKind::BrokenPipe).into(),
                },
                ".client-certificate`",
            ),
            (
                RegistryErrorKind::Unreachable {
                    host: host(),
                    source: io::Error::from(io::ErrorKind::ConnectionReset).into(),
                },
                ".client-certificate`",
            ),
            (RegistryErrorKind::Paused { host: host(), wait: std::time::Duration::from_secs(7) }, "temporary"),
            (RegistryErrorKind::Busy { host: host(), status: 503, retry_after: None }, "temporary"),
            (RegistryErrorKind::Unreachable { host: host(), source: io::Error::other("x").into() }, "temporary"),
            (
                RegistryErrorKind::Refused { host: host(), status: 403, detail: String::new(), login: None },
                "permission to read",
            ),
            (
                RegistryErrorKind::Realm { host: host(), realm: "http://x".to_owned(), reason: "x".to_owned() },
                "public https address",
            ),
        ];
        let missing = registry::layout::LayoutReader::open(&PathBuf::from("/nowhere")).expect_err("it is not there");
        assert_eq!(missing.to_string(), "image layout `/nowhere`: there is no such folder");
        let missing = RegistryErrorKind::Layout(missing);
        assert!(host_failure_of_kind(&missing).is_some(), "it is said once for all services");
        for (kind, words) in cases.into_iter().chain([(missing, "`oci-layout:`")]) {
            let hint = kind_hint(&kind, &access);
            assert!(hint.contains(words), "{kind}: {hint}");
            assert!(!hint.contains("docker login"), "{kind}: {hint}");
            assert!(!hint.contains("wait"), "{kind}: {hint}");
        }
        let login = EnvCredential::new(
            "ORCHESTRATOR_REGISTRY_PASSWORD",
            "localhost/shop",
            registry::credentials::Login::registry("x"),
        );
        let with_login = RegistryAccess { env_credentials: vec![login], ..RegistryAccess::default() };
        let path = || PathBuf::from("/home/x/config.json");
        let of_variable = LoginSource::Env { name: "ORCHESTRATOR_REGISTRY_PASSWORD".to_owned() };
        let helper = LoginSource::Helper { program: "docker-credential-x".to_owned(), path: path() };
        for (host, source, access, words) in [
            ("other:5000", LoginSource::Anonymous, &access, "`docker login other:5000`"),
            ("other:5000", LoginSource::Anonymous, &access, "looked in `/nowhere/config.json` (absent)"),
            ("other:5000", LoginSource::Anonymous, &with_login, "`docker login other:5000`"),
            ("localhost:5000", LoginSource::Anonymous, &with_login, "must name `localhost:5000`"),
            ("localhost", of_variable, &with_login, "renew the login for `localhost` that comes from"),
            ("other", LoginSource::File { path: path() }, &access, "renew the login for `other`"),
            ("other", helper, &access, "docker-credential-x"),
        ] {
            let hint = login_hint(host, &source, None, access);
            assert!(hint.contains(words), "{host}: {hint}");
            let is_known = source != LoginSource::Anonymous || words.contains("must name");
            assert!(!is_known || !hint.contains("docker login"), "{host}: {hint}");
        }
        let mut trace = registry::credentials::FailedHelper::new("docker-credential-x", path());
        let of_helper = |trace: &FailedHelper| login_hint("a", &LoginSource::Anonymous, Some(trace), &access);
        assert!(of_helper(&trace).starts_with("put `docker-credential-x` on `PATH`; or take it out of"));
        trace.asked = Some("a.example".to_owned());
        assert!(of_helper(&trace).starts_with("`echo a.example | docker-credential-x get` prints"), "it is there");
        let kind = RegistryErrorKind::Unreachable { host: "r:5".to_owned(), source: no_name() };
        assert_eq!(kind.in_short(), "`r:5` cannot be reached: Name or service not known");
        assert_eq!(looked_in(&files), "looked in `/nowhere/config.json` (absent)");
        let here = tempfile::NamedTempFile::new().expect("there is room");
        let path = here.path().to_owned();
        let first = path.display().to_string();
        assert_eq!(
            looked_in(&[files[0].clone(), path.clone(), path]),
            format!(
                "looked in `/nowhere/config.json` (absent), `{first}`, `{first}` (not read: only the first that exists is)"
            )
        );
        assert!(reason_hint(&UnresolvedReason::NoCandidates, &access).contains("`tags`"));
    }

    #[test]
    fn t5_only_a_full_commit_id_is_another_commit() {
        let full = "1".repeat(40);
        let dirty = format!("{full}-dirty");
        for (named, words) in [
            (vec![None], "`revision: warn`"),
            (vec![Some("1111111")], "nothing else"),
            (vec![None, Some(dirty.as_str())], "nothing else"),
            (vec![Some(&full)], "another commit"),
            (vec![Some(&dirty), Some(&full)], "another commit"),
        ] {
            let hint = revision_hint(&named);
            assert!(hint.contains(words), "{named:?}: {hint}");
        }
    }

    /// A repository that is missing, and a tag of one that is there, each before and after `--wait`.
    #[test]
    fn what_is_missing_decides_the_hint() {
        const PARTS: [&str; 6] =
            ["`repository`", "`kind: configuration`", "`--wait 10m`", "`tags`", "--check-pushed", "older lock"];
        for (is_repository, patience, words) in [
            (true, Patience::None, &["`repository`", "`kind: configuration`"][..]),
            (true, Patience::Over, &["`repository`", "`kind: configuration`"]),
            (false, Patience::None, &["`--wait 10m`"]),
            (false, Patience::Over, &["`tags`", "--check-pushed"]),
            (true, Patience::Useless, &["older lock"]),
            (false, Patience::Useless, &["older lock"]),
        ] {
            let hint = missing_hint(is_repository, patience);
            let said: Vec<&str> = PARTS.into_iter().filter(|part| hint.contains(part)).collect();
            assert_eq!(said, words, "{is_repository} {patience:?}: {hint}");
            assert!(patience == Patience::None || !hint.contains("wait"), "{hint}");
        }
    }
}
