//! T23: a kubeconfig that can do more than connect is refused, and none of its values is shown.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster::{ClusterErrorKind, Kubeconfig, Risk};
use lock_model::ErrorClass;
use secrecy::ExposeSecret as _;

const CANARY: &str = "canary-5f2b";

fn config(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: shop\ncontexts:\n- name: shop\n  context: {{ cluster: c, user: u, \
         namespace: staging }}\n- name: other\n  context: {{ cluster: gone, user: u }}\nclusters:\n- name: c\n  cluster: \
         {{ {cluster} }}\n- name: unused\n  cluster: {{ server: http://elsewhere, proxy-url: http://p }}\nusers:\n- name: \
         u\n  user: {{ {user} }}\n- name: unused\n  user: {{ exec: {{ command: /evil }} }}\n"
    )
}

const SERVER: &str = "server: https://10.0.0.1:6443";

#[test]
fn t23_what_can_do_more_than_connect_is_refused_by_name() {
    let token = format!("token: {CANARY}");
    let table: &[(&str, &str, &[Risk])] = &[
        ("server: https://h, insecure-skip-tls-verify: true", &token, &[Risk::InsecureTls]),
        ("server: https://h, insecure-skip-tls-verify: 'true'", &token, &[Risk::InsecureTls]),
        ("server: https://h, insecure-skip-tls-verify: false", &token, &[]),
        ("server: https://h, proxy-url: 'socks5://p'", &token, &[Risk::Proxy]),
        ("server: https://h, proxy-url: ''", &token, &[]),
        ("server: 'http://h:80'", &token, &[Risk::PlainHttp]),
        ("server: https://h, certificate-authority: /etc/ca", &token, &[Risk::Files]),
        (SERVER, "client-certificate: /c, client-key: /k", &[Risk::Files]),
        (SERVER, "tokenFile: /t", &[Risk::Files]),
        ("server: http://h, proxy-url: http://p, insecure-skip-tls-verify: true", "tokenFile: /t", Risk::ALL),
        (SERVER, &token, &[]),
    ];
    for (cluster, user, risks) in table {
        let text = config(cluster, user);
        let allowed: BTreeSet<Risk> = risks.iter().copied().collect();
        Kubeconfig::parse(text.as_bytes(), None, &allowed).unwrap();
        match Kubeconfig::parse(text.as_bytes(), None, &BTreeSet::new()) {
            Ok(_) => assert!(risks.is_empty(), "{cluster} {user}"),
            Err(error) => {
                let ClusterErrorKind::Risk { risks: found } = error.kind() else { panic!("{error}") };
                assert_eq!(found, risks, "{cluster} {user}");
                assert_eq!(error.class(), ErrorClass::Invalid);
                let hint = error.hint().unwrap();
                assert!(risks.iter().all(|risk| hint.contains(risk.as_str())), "{hint}");
                assert!(!format!("{error} {error:?}").contains(CANARY));
            }
        }
        // One that is not needed does not stand for another.
        if let [risk] = risks {
            let others = Risk::ALL.iter().copied().filter(|other| other != risk).collect();
            Kubeconfig::parse(text.as_bytes(), None, &others).unwrap_err();
        }
    }
}

#[test]
fn t23_a_login_program_is_refused_whatever_is_allowed() {
    let everything = Risk::ALL.iter().copied().collect();
    for user in ["exec: { command: /bin/touch, args: [/tmp/never] }", "auth-provider: { name: gcp }", "exec: {}"] {
        let error = Kubeconfig::parse(config(SERVER, user).as_bytes(), None, &everything).unwrap_err();
        assert!(error.to_string().contains("logs in by a program"), "{error}");
    }
}

/// Such a password was ignored, so that requests were anonymous.
#[test]
fn t23_a_password_and_an_authority_without_a_certificate_are_refused() {
    let token = format!("token: {CANARY}");
    let authority = |text: &str| format!("{SERVER}, certificate-authority-data: {}", STANDARD.encode(text));
    let pem = include_str!("../fixtures/until-2031.pem");
    let table = [
        (SERVER.to_owned(), format!("username: a, password: {CANARY}"), "logs in by name and password"),
        (SERVER.to_owned(), format!("password: {CANARY}"), "logs in by name and password"),
        (authority("hello"), token.clone(), "`certificate-authority-data` is no certificate"),
        (format!("{SERVER}, certificate-authority-data: hello"), token.clone(), "is no certificate"),
        (authority(pem), token.clone(), ""),
        (authority(&format!("# the shop's\n{pem}{pem}")), token, ""),
    ];
    for (cluster, user, told) in table {
        match Kubeconfig::parse(config(&cluster, &user).as_bytes(), None, &BTreeSet::new()) {
            Ok(_) => assert_eq!(told, "", "{cluster} {user}"),
            Err(error) => {
                assert!(!told.is_empty() && error.to_string().contains(told), "{error}");
                assert!(!error.to_string().contains(CANARY), "{error}");
            }
        }
    }
}

#[test]
fn a_kubeconfig_that_names_no_cluster_is_refused_without_showing_values() {
    let good = config(SERVER, &format!("token: {CANARY}"));
    let table: &[(String, Option<&str>, &str)] = &[
        (good.clone(), Some("gone"), "context `gone`: the kubeconfig has contexts `"),
        (
            good.clone(),
            Some("other"),
            "context `other`: its cluster is `gone`, and the kubeconfig has clusters `c`, `unused`",
        ),
        (good.replace("current-context: shop\n", ""), None, "it has no `current-context`, and no context is named"),
        (good.replace("name: other", "name: shop"), None, "`contexts` has two entries named `shop`"),
        (good.replace(SERVER, "server: 'https://'"), None, "its `server` is not an address"),
        (good.replace(SERVER, "server: 'https://me:pw@h'"), None, "its `server` is not an address"),
        (good.replace(SERVER, "server: 'unix:///run/h'"), None, "its `server` is not an address"),
        (good.replace("token:", "token: &a"), None, "it is not YAML without anchors"),
        (good.replace("token: ", "token: x, token: "), None, "it is not YAML without anchors and duplicate keys (line"),
        (config(SERVER, &format!(r#"token: "{CANARY}\n""#)), None, "its user's `token` ends with a line break"),
        (config(SERVER, &format!(r#"token: "{CANARY}\u0007""#)), None, "has a character that no token has"),
        (config(SERVER, &format!(r#"token: "{CANARY} é""#)), None, "has a character that no token has"),
        ("- 1".to_owned(), None, "it is not a map"),
        (format!("{good}---\n{good}"), None, "the kubeconfig: it has more than one YAML document"),
        (String::new(), None, "the kubeconfig"),
        (
            good.replace(SERVER, "server: https://h, certificate-authority: ca.pem"),
            None,
            "`certificate-authority` is not absolute",
        ),
    ];
    for (text, context, expected) in table {
        let files = BTreeSet::from([Risk::Files]);
        let error = Kubeconfig::parse(text.as_bytes(), *context, &files).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
    Kubeconfig::parse(&vec![b'#'; 2 << 20], None, &BTreeSet::new()).unwrap_err();
}

/// Two lines of a key, with those around it.
const KEY: &str =
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUlyCmNkPT0KLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo=";

#[test]
fn only_the_chosen_context_goes_to_programs() {
    let text = config(SERVER, &format!("token: {CANARY}, client-key-data: {KEY}"));
    let kubeconfig = Kubeconfig::parse(text.as_bytes(), None, &BTreeSet::new()).unwrap();
    assert_eq!(kubeconfig.context(), "shop");
    assert_eq!(kubeconfig.namespace(), Some("staging"));
    assert_eq!(kubeconfig.server(), "https://10.0.0.1:6443");
    let secrets: Vec<_> = kubeconfig.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect();
    // A key in PEM, in base64.
    assert_eq!(secrets, [CANARY, KEY, "MHcCAQEEIIr", "cd=="]);
    assert!(!format!("{kubeconfig:?}").contains(CANARY));

    let written = kubeconfig.to_json();
    assert!(!written.expose_secret().contains("evil") && !written.expose_secret().contains("elsewhere"));
    let again = Kubeconfig::parse(written.expose_secret().as_bytes(), None, &BTreeSet::new()).unwrap();
    assert_eq!(again.to_json().expose_secret(), written.expose_secret());
}
