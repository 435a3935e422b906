//! T23: a kubeconfig that can do more than connect is refused, and none of its values is shown.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster::{Allowed, ClusterErrorKind, Connection, Kubeconfig, Login, Patience, Risk};
use lock_model::{ErrorClass, Timestamp};
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

/// What is refused by its kind.
const ANY: [Risk; 4] = [Risk::Files, Risk::PlainHttp, Risk::InsecureTls, Risk::Proxy];
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
        ("server: http://h, proxy-url: http://p, insecure-skip-tls-verify: true", "tokenFile: /t", &ANY),
        (SERVER, &token, &[]),
    ];
    for (cluster, user, risks) in table {
        let text = config(cluster, user);
        let allowed = Allowed::from(risks.iter().copied().collect::<BTreeSet<_>>());
        Kubeconfig::parse(text.as_bytes(), None, &allowed).unwrap();
        match Kubeconfig::parse(text.as_bytes(), None, &Allowed::default()) {
            Ok(_) => assert!(risks.is_empty(), "{cluster} {user}"),
            Err(error) => {
                let ClusterErrorKind::Risk { risks: found, .. } = error.kind() else { panic!("{error}") };
                assert_eq!(found, risks, "{cluster} {user}");
                assert_eq!(error.class(), ErrorClass::Invalid);
                let hint = error.hint().unwrap();
                assert!(risks.iter().all(|risk| hint.contains(risk.as_str())), "{hint}");
                assert!(!format!("{error} {error:?}").contains(CANARY));
            }
        }
        // One that is not needed does not stand for another.
        if let [risk] = risks {
            let others: BTreeSet<_> = Risk::ALL.iter().copied().filter(|other| other != risk).collect();
            Kubeconfig::parse(text.as_bytes(), None, &others.into()).unwrap_err();
        }
    }
}

#[test]
fn t23_a_login_program_is_refused_unless_it_is_allowed_by_its_whole_name() {
    let all = || Allowed::from(Risk::ALL.iter().copied().collect::<BTreeSet<_>>());
    let named = |name: &str| Allowed { programs: BTreeSet::from([name.to_owned()]), ..all() };
    let exec = |command: &str, rest: &str| {
        let version = "apiVersion: client.authentication.k8s.io/v1";
        config(SERVER, &format!("exec: {{ command: {command}, {version}, args: [get-token]{rest} }}"))
    };
    let refused =
        |text: &str, allowed: &Allowed| Kubeconfig::parse(text.as_bytes(), None, allowed).unwrap_err().to_string();
    for allowed in [all(), named("/bin/aws"), named("aw"), named("aws2")] {
        let error = refused(&exec("aws", ""), &allowed);
        assert!(error.contains("logs in by a program (`exec`), `aws`"), "{error}");
    }
    for command in ["/tmp/aws", "../aws", "AWS"] {
        assert!(refused(&exec(command, ""), &named("aws")).contains("logs in by a program"), "{command}");
    }
    let kubeconfig = Kubeconfig::parse(exec("aws", "").as_bytes(), None, &named("aws")).unwrap();
    assert_eq!(kubeconfig.login_program().unwrap().arguments, ["get-token"]);
    assert!(!kubeconfig.to_json().expose_secret().contains("exec"), "no other program starts it");
    // What it is given beside its arguments is allowed by name too: a variable can make any program run another one.
    let given = exec("aws", ", env: [{ name: LD_PRELOAD, value: /x }]");
    assert!(refused(&given, &named("aws")).contains("variables (`exec.env`)"));
    let variables = BTreeSet::from(["LD_PRELOAD".to_owned()]);
    Kubeconfig::parse(given.as_bytes(), None, &Allowed { variables, ..named("aws") }).unwrap();
    // A token beside it is what each request has: the program is not started.
    let beside = exec("aws", "").replace("exec: {", "token: t, exec: {");
    let kubeconfig = Kubeconfig::parse(beside.as_bytes(), None, &Allowed::default()).unwrap();
    assert!(kubeconfig.login_program().is_none() && !kubeconfig.to_json().expose_secret().contains("exec"));
    assert!(refused(&config(SERVER, "auth-provider: { name: gcp }"), &all()).contains("`auth-provider`"));
    assert!(refused(&config(SERVER, "exec: {}"), &all()).contains("names no `command`"));
}

#[test]
fn t23_a_proxy_is_allowed_by_its_address() {
    let text = config("server: https://h, proxy-url: 'http://proxy.corp:3128'", "token: t");
    let through = |proxy: &str| {
        let proxies = BTreeSet::from([proxy.to_owned()]);
        Kubeconfig::parse(text.as_bytes(), None, &Allowed { proxies, ..Allowed::default() })
    };
    through("http://proxy.corp:3128").unwrap();
    through("http://proxy.corp:3128/").unwrap();
    let refused = through("http://proxy.corp").unwrap_err().to_string();
    assert!(refused.ends_with("through a proxy, `http://proxy.corp:3128`"), "{refused}");
    let named = config(&format!("server: https://h, proxy-url: 'http://a:{CANARY}@p'"), "token: t");
    let refused = Kubeconfig::parse(named.as_bytes(), None, &Allowed::default()).unwrap_err().to_string();
    assert!(refused.contains("@p`") && !refused.contains(CANARY), "{refused}");
}

/// What a kubeconfig of plain HTTP finds where it asks once.
async fn asked(kubeconfig: Kubeconfig) -> cluster::ClusterError {
    let patience = Patience { request: Duration::from_secs(10), retries: Duration::ZERO };
    Connection::new(&kubeconfig, patience).await.unwrap().ready().await.unwrap_err()
}

/// Which part of the way failed decides what helps.
#[tokio::test(flavor = "multi_thread")]
async fn t23_a_hint_names_the_login_program_and_the_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("server: 'http://{}'", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4096]));
            let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    let allowed = Allowed {
        programs: BTreeSet::from(["aws".to_owned()]),
        ..Allowed::from(BTreeSet::from([Risk::PlainHttp, Risk::Proxy]))
    };
    let parsed = |server: &str, user: &str| Kubeconfig::parse(config(server, user).as_bytes(), None, &allowed).unwrap();
    let of_token = asked(parsed(&server, "token: t")).await;
    assert!(of_token.hint().unwrap().contains("make a new kubeconfig"), "{of_token}");

    let version = "client.authentication.k8s.io/v1";
    let by_program = parsed(&server, &format!("exec: {{ command: aws, apiVersion: {version} }}"));
    let answer = format!(r#"{{"kind":"ExecCredential","apiVersion":"{version}","status":{{"token":"t"}}}}"#);
    let now = Timestamp::from_unix_seconds(1_000_000_000);
    let credential = by_program.login_program().unwrap().answer(answer.as_bytes(), now).unwrap();
    let login = Login::new(move || {
        let credential = credential.clone();
        Box::pin(async move { Ok(credential) })
    });
    let of_program = asked(by_program.logged_in(login).await.unwrap()).await;
    assert!(matches!(of_program.kind(), ClusterErrorKind::Unauthorized), "{of_program}");
    assert!(of_program.hint().unwrap().contains("login program `aws`"), "{:?}", of_program.hint());

    let proxied = format!("{server}, proxy-url: 'http://ana:{CANARY}@127.0.0.1:1'");
    let of_proxy = asked(parsed(&proxied, "token: t")).await;
    let hint = of_proxy.hint().unwrap();
    assert!(hint.contains("@127.0.0.1:1`, the `proxy-url`") && !hint.contains(CANARY), "{of_proxy}: {hint}");
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
        (
            format!("{}, insecure-skip-tls-verify: true", authority(pem)),
            token.clone(),
            "leave `insecure-skip-tls-verify` out",
        ),
        (authority(&format!("# the shop's\n{pem}{pem}")), token, ""),
    ];
    for (cluster, user, told) in table {
        match Kubeconfig::parse(config(&cluster, &user).as_bytes(), None, &Allowed::default()) {
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
        let files = Allowed::from(BTreeSet::from([Risk::Files]));
        let error = Kubeconfig::parse(text.as_bytes(), *context, &files).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
    Kubeconfig::parse(&vec![b'#'; 2 << 20], None, &Allowed::default()).unwrap_err();
}

/// Two lines of a key, with those around it.
const KEY: &str =
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCk1IY0NBUUVFSUlyCmNkPT0KLS0tLS1FTkQgRUMgUFJJVkFURSBLRVktLS0tLQo=";

#[test]
fn only_the_chosen_context_goes_to_programs() {
    let text = config(SERVER, &format!("token: {CANARY}, client-key-data: {KEY}"));
    let kubeconfig = Kubeconfig::parse(text.as_bytes(), None, &Allowed::default()).unwrap();
    assert_eq!(kubeconfig.context(), "shop");
    assert_eq!(kubeconfig.namespace(), Some("staging"));
    assert_eq!(kubeconfig.server(), "https://10.0.0.1:6443");
    let secrets: Vec<_> = kubeconfig.secrets().iter().map(|secret| secret.expose_secret().to_owned()).collect();
    // A key in PEM, in base64.
    assert_eq!(secrets, [CANARY, KEY, "MHcCAQEEIIr", "cd=="]);
    assert!(!format!("{kubeconfig:?}").contains(CANARY));

    let written = kubeconfig.to_json();
    assert!(!written.expose_secret().contains("evil") && !written.expose_secret().contains("elsewhere"));
    let again = Kubeconfig::parse(written.expose_secret().as_bytes(), None, &Allowed::default()).unwrap();
    assert_eq!(again.to_json().expose_secret(), written.expose_secret());
}
