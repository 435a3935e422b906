//! A kubeconfig in a file of the machine, on a real cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use test_support::Cluster;

use crate::clusters::{ClusterShop, DASHBOARDS, DEPLOYMENT, SERVES, SERVICE};

/// A user who logs in by a program, which leaves a file behind where it is started.
const LOGIN_PROGRAM: &str =
    "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/touch, args: [CANARY]}, ";

/// Where a value begins: `orchestrator.yaml:12:25`.
fn place_of(configuration: &str, value: &str) -> String {
    let found = configuration.lines().enumerate().find_map(|(line, text)| Some((line, text.find(value)?)));
    let (line, column) = found.unwrap_or_else(|| panic!("{value} is not in {configuration}"));
    format!("orchestrator.yaml:{}:{}", line + 1, column + 1)
}

#[test]
fn t23_a_kubeconfig_of_the_machine_deploys_where_no_other_user_can_read_it() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let target = r#"target: { kind: apply, source: "{path}/cluster" }"#;
    let Some(staging) = ClusterShop::without_helm(cluster, &[DASHBOARDS, SERVICE], target) else { return };
    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    let in_variable = "kubeconfig: { env: SHOP_KUBECONFIG }";
    assert!(configuration.contains(in_variable), "{configuration}");
    clone.write("orchestrator.yaml", configuration.replace(in_variable, "kubeconfig: { file: ~/.kube/shop }"));
    staging.merge(2, SERVES);
    // The variable that it was read from before leads nowhere.
    let ends = |line: &str, code: i32| staging.ends_with("no kubeconfig", line, code);

    let missing = ends("run staging", 11);
    // It is read from the commit that `dev` was merged to.
    let place = place_of(&clone.read("HEAD", "orchestrator.yaml").unwrap(), "~/.kube/shop");
    let told = format!("~/.kube/shop: does not exist, and is read by environments.staging.kubeconfig ({place})");
    assert!(missing.stderr().contains(&told), "{missing}");
    ends("lock commit staging", 0);
    let plan = ends("plan staging", 11);
    let told = format!("the kubeconfig of `staging` in `~/.kube/shop` ({place}) is missing: there is no such file");
    assert!(plan.stderr().contains(&told), "{plan}");
    let health = ends("health staging", 11);
    assert!(health.stderr().contains(&told), "{health}");
    let deploy = ends("deploy staging", 11);
    assert!(deploy.stderr().contains(&place), "{deploy}");

    let folder = staging.shop.join("home/.kube");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("shop");
    let write = |text: &str, mode: u32| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    write(cluster.kubeconfig(), 0o644);
    let shared = ends("run staging", 2);
    for told in ["other users can read or write the file (mode 0644)", "`chmod 600 ~/.kube/shop`"] {
        assert!(shared.stderr().contains(told), "`{told}`: {shared}");
    }

    // What is refused in a variable is refused in a file, and never started.
    let canary = staging.shop.join("home/canary");
    let user = "user: {";
    assert!(cluster.kubeconfig().contains(user), "the test knows the kubeconfig of the cluster");
    let program = LOGIN_PROGRAM.replace("CANARY", canary.to_str().unwrap());
    write(&cluster.kubeconfig().replacen(user, &format!("{user}{program}"), 1), 0o600);
    let refused = ends("run staging", 2);
    assert!(refused.stderr().contains("its user logs in by a program (`exec`), `/bin/touch`"), "{refused}");
    assert!(!canary.exists());

    // A link into the clone leads to a secret in git, also where the file itself is ignored there.
    write(cluster.kubeconfig(), 0o600);
    let inside = clone.path().join("kubeconfig");
    fs::rename(&file, &inside).unwrap();
    std::os::unix::fs::symlink(&inside, &file).unwrap();
    let refused = ends("run staging", 2);
    assert!(refused.stderr().contains("lies in the superproject"), "{refused}");
    fs::remove_file(&file).unwrap();
    fs::rename(&inside, &file).unwrap();

    ends("run staging", 0);
    ends("verify staging", 0);
    let records = ends("status", 0);
    assert!(!records.text().contains("no kubeconfig"), "{records}");

    // A pull request's job need not have the file.
    staging.commit(SERVICE, 3, SERVES, DEPLOYMENT);
    let number = staging.shop.open();
    fs::remove_file(&file).unwrap();
    let planned = ends(&format!("plan staging --pr {number}"), 0);
    assert!(planned.text().contains("files of the machine that deploys: `~/.kube/shop`"), "{planned}");
}

/// The kubeconfig of the cluster for a user who logs in by this program.
fn logging_in(cluster: &Cluster, program: &str) -> String {
    let (before, rest) = cluster.kubeconfig().split_once("user: {").expect("the test knows the kubeconfig");
    let (_, after) = rest.split_once('}').expect("a map ends");
    let exec = format!(
        "apiVersion: client.authentication.k8s.io/v1beta1, command: {program}, args: [get-token, --client-secret=canary-of-args, \
         --login=user:canary-of-parts], env: [{{ name: SHOP_REGION, value: east }}]"
    );
    format!("{before}user: {{ exec: {{ {exec} }} }}{after}")
}

#[test]
fn t23_a_login_program_that_is_allowed_by_name_deploys_and_its_token_is_shown_nowhere() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let Some(staging) = ClusterShop::new_or_skip(cluster, "helm4") else { return };
    let (namespace, home) = (staging.namespace.as_str(), staging.shop.join("home"));
    cluster.kubectl(&["create", "serviceaccount", "deployer", "--namespace", namespace]);
    let (binding, account) = (format!("login-of-{namespace}"), format!("--serviceaccount={namespace}:deployer"));
    cluster.kubectl(&["create", "clusterrolebinding", &binding, "--clusterrole=cluster-admin", &account]);
    let token = cluster.kubectl(&["create", "token", "deployer", "--namespace", namespace]);
    let token = token.trim();
    fs::write(home.join("token"), token).unwrap();
    let program = home.join("shop-login");
    let write = |script: &str| {
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write(
        r#"echo "$* $SHOP_REGION ${SHOP_KUBECONFIG-unset}" >> "$HOME/started"
printf '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"%s"}}' "$(cat "$HOME/token")""#,
    );
    let name = program.to_str().unwrap();
    let kubeconfig = logging_in(cluster, name);
    let ends = |line: &str, code: i32| staging.ends_with(&kubeconfig, line, code);

    staging.merge(2, SERVES);
    let refused = ends("run staging", 2);
    for told in [format!("by a program (`exec`), `{name}`"), format!("`kubeconfig: {{ allow: {{ exec: [{name}] }} }}`")]
    {
        assert!(refused.stderr().contains(&told), "`{told}`: {refused}");
    }
    assert!(!home.join("started").exists(), "it was not started");

    let clone = staging.shop.work_on("dev");
    let configuration = clone.read("HEAD", "orchestrator.yaml").unwrap();
    let allowed = format!("env: SHOP_KUBECONFIG, allow: {{ exec: [{name}], variables: [SHOP_REGION] }}");
    clone.write("orchestrator.yaml", configuration.replace("env: SHOP_KUBECONFIG", &allowed));
    staging.merge(3, SERVES);
    let run = ends("run staging", 0);
    assert_eq!(staging.revisions(), 1, "helm logged in as well");
    assert_eq!(
        fs::read_to_string(home.join("started")).unwrap(),
        "get-token --client-secret=canary-of-args --login=user:canary-of-parts east unset\n"
    );
    assert!(!run.text().contains(token), "{run}");

    // What it prints on standard output is never shown.
    write("echo \"$(cat \"$HOME/token\")\"; echo 'no session: log in first' >&2; exit 3");
    let failed = ends("plan staging", 13);
    assert!(failed.stderr().contains("its login program gives no credentials"), "{failed}");
    assert!(failed.stderr().contains("no session: log in first") && !failed.text().contains(token), "{failed}");
    write("echo \"usage: $*; no login with canary-of-parts\" >&2; exit 3");
    let failed = ends("plan staging", 13);
    assert!(failed.stderr().contains("exit status 3: usage: ***") && !failed.text().contains("canary"), "{failed}");
    // Nor where it is ended, which a deadline does at once.
    write("cat \"$HOME/token\"; exec sleep 300");
    let begin = Instant::now();
    let failed = ends("plan staging --deadline 5s", 22);
    assert!(begin.elapsed() < Duration::from_secs(40), "{failed}");
    assert!(!failed.text().contains(&token[..40]) && !failed.text().contains("canary"), "{failed}");
    write("head -c 2000000 /dev/zero; cat \"$HOME/token\"");
    let failed = ends("plan staging", 13);
    assert!(failed.stderr().contains("shop-login` wrote more than 1048576 bytes"), "{failed}");
    assert!(!failed.text().contains("canary"), "{failed}");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    let unusable = ends("plan staging", 2);
    assert!(unusable.stderr().contains("its first line names `/no/such/interpreter`"), "{unusable}");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    let unusable = ends("plan staging", 2);
    assert!(unusable.stderr().contains("cannot be started: its file is not executable"), "{unusable}");
    fs::remove_file(&program).unwrap();
    let absent = ends("plan staging", 2);
    assert!(absent.stderr().contains("of the kubeconfig is not on this machine"), "{absent}");
}
