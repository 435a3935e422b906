//! A kubeconfig in a file of the machine, on a real cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
    assert!(refused.stderr().contains("its user logs in by a program (`exec`), which is never started"), "{refused}");
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
