//! The objects of a suite: a Job, and the Secret with the variables that only its container reads.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::{ClusterError, Object};
use lock_model::Digest;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};

use super::{Container, JobIdentity};

/// The container's name in the pod.
pub(super) const CONTAINER: &str = "suite";
/// How long after its deadline the cluster itself ends a Job whose run was killed.
const GRACE: Duration = Duration::from_secs(60);
/// How long the cluster keeps a finished Job whose run was killed, in seconds.
const KEPT: u64 = 3600;
/// How many characters of a name are in the Job's name: that of its pod has six more, and 63 at most.
const SHOWN: usize = 18;

const ENVIRONMENT: &str = "orchestrator.dev/environment";
const EXECUTION: &str = "orchestrator.dev/execution";

/// The labels that all Jobs of suites of an environment have.
pub(super) fn selector(identity: &JobIdentity) -> String {
    let labels = labels(identity);
    let own = ["app.kubernetes.io/managed-by", "app.kubernetes.io/component", ENVIRONMENT];
    let own = own.map(|name| format!("{name}={}", labels[name].as_str().unwrap_or_default()));
    own.join(",")
}

/// The label that only the pods of one execution have.
pub(super) fn pod_selector(identity: &JobIdentity) -> String {
    format!("{EXECUTION}={}", execution(identity))
}

/// Whether a Job is this execution's own.
pub(super) fn is_of(job: &Object, identity: &JobIdentity) -> bool {
    job.label(EXECUTION) == Some(execution(identity).as_str())
}

fn labels(identity: &JobIdentity) -> Value {
    json!({
        "app.kubernetes.io/managed-by": "orchestrator",
        "app.kubernetes.io/component": "suite",
        ENVIRONMENT: identity.environment,
        EXECUTION: execution(identity),
    })
}

/// Ten digits that are others in every execution.
fn execution(identity: &JobIdentity) -> String {
    let JobIdentity { namespace, environment, suite, execution } = identity;
    let text = [namespace, environment, suite, execution].map(String::as_str).join("\n");
    let digest = Digest::of(text.as_bytes());
    digest.as_str().trim_start_matches("sha256:").chars().take(10).collect()
}

fn name(identity: &JobIdentity) -> String {
    let part = |text: &str| {
        let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let part: String = text.chars().take(SHOWN).map(plain).collect();
        part.trim_end_matches('-').to_owned()
    };
    format!("suite-{}-{}-{}", part(&identity.environment), part(&identity.suite), execution(identity))
}

/// The Job; it is suspended where it needs a Secret, which needs the Job's UID.
pub(super) fn job(identity: &JobIdentity, container: &Container, deadline: Duration) -> Result<Object, ClusterError> {
    let labels = labels(identity);
    let name = name(identity);
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": container.service_account.is_some(),
        "enableServiceLinks": false,
        "containers": [main(container, &name)],
    });
    if let Some(account) = &container.service_account {
        pod["serviceAccountName"] = account.as_str().into();
    }
    if let Some(secret) = &container.pull_secret {
        pod["imagePullSecrets"] = json!([{ "name": secret }]);
    }
    Object::new(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": identity.namespace,
            "labels": labels,
            "annotations": { "orchestrator.dev/suite": identity.suite },
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": (deadline + GRACE).as_secs().max(1),
            "ttlSecondsAfterFinished": KEPT,
            "suspend": !container.secret_envs.is_empty(),
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    }))
}

fn main(container: &Container, secret: &str) -> Value {
    let mut main = json!({ "name": CONTAINER, "image": container.image });
    if !container.args.is_empty() {
        main["args"] = container.args.iter().map(|arg| literal(arg)).collect();
    }
    let plain = container.envs.iter().map(|(name, value)| json!({ "name": name, "value": literal(value) }));
    let secrets = container
        .secret_envs
        .keys()
        .map(|name| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": name } } }));
    let envs: Vec<Value> = plain.chain(secrets).collect();
    if !envs.is_empty() {
        main["env"] = envs.into();
    }
    let lists = [("requests", &container.requests), ("limits", &container.limits)];
    let resources: Map<String, Value> = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(key, list)| (key.to_owned(), json!(list)))
        .collect();
    if !resources.is_empty() {
        main["resources"] = resources.into();
    }
    main
}

/// A text of a pod in which the kubelet fills nothing in: `$(TOKEN)` would put a secret among the arguments.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// The Secret of a Job that is stored; `None` where it needs none.
pub(super) fn secret(job: &Object, envs: &BTreeMap<String, SecretString>) -> Result<Option<Object>, ClusterError> {
    if envs.is_empty() {
        return Ok(None);
    }
    let data: BTreeMap<&str, &str> = envs.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    let key = job.key();
    let secret = Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": job.at("/metadata/labels"),
            "ownerReferences": [{
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": key.name,
                "uid": job.uid(),
            }],
        },
        "type": "Opaque",
        "immutable": true,
        "stringData": data,
    }))?;
    Ok(Some(secret))
}

/// A stored Job that may begin, whatever its controller has written into it meanwhile.
pub(super) fn resumed(job: &Object) -> Result<Object, ClusterError> {
    let mut value = job.value().clone();
    value["spec"]["suspend"] = false.into();
    for field in ["resourceVersion", "managedFields"] {
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove(field);
        }
    }
    Object::new(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> JobIdentity {
        JobIdentity {
            namespace: "shop-staging".to_owned(),
            environment: "staging".to_owned(),
            suite: "a.very_long-name-of-a-suite.of.ours".to_owned(),
            execution: "7".to_owned(),
        }
    }

    fn container() -> Container {
        let digest = Digest::of(b"image");
        let mut container = Container::new(format!("registry.example/shop/runner@{digest}"), [digest]);
        container.args = vec!["--token=$(LOGIN)".to_owned(), "50$".to_owned()];
        container.envs = BTreeMap::from([("BASE_URL".to_owned(), "http://x/$(LOGIN)".to_owned())]);
        container.secret_envs = BTreeMap::from([("LOGIN".to_owned(), SecretString::from("a-login"))]);
        container
    }

    #[test]
    fn t48_p22_a_secret_stands_neither_in_the_job_nor_in_its_arguments() {
        let job = job(&identity(), &container(), Duration::from_secs(60)).unwrap();
        let text = job.value().to_string();
        assert!(!text.contains("a-login"), "{text}");
        // The kubelet gives the program `$(LOGIN)` as it stands there.
        assert_eq!(
            job.value()["spec"]["template"]["spec"]["containers"][0]["args"],
            json!(["--token=$$(LOGIN)", "50$$"])
        );
        let value = &job.value()["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"];
        assert_eq!(value, "http://x/$$(LOGIN)");
        // It begins once its Secret is there, and the Secret is there no longer than the Job.
        assert!(job.is_true("/spec/suspend"));
        let mut stored = job.into_value();
        stored["metadata"]["uid"] = "u1".into();
        stored["metadata"]["resourceVersion"] = "5".into();
        let stored = Object::new(stored).unwrap();
        let secret = secret(&stored, &container().secret_envs).unwrap().unwrap();
        assert_eq!(secret.key().name, stored.key().name);
        assert_eq!(secret.text("/metadata/ownerReferences/0/uid"), Some("u1"));
        let resumed = resumed(&stored).unwrap();
        assert!(!resumed.is_true("/spec/suspend") && resumed.resource_version().is_none());
    }

    #[test]
    fn a_job_has_a_name_of_its_own_that_its_pod_can_carry() {
        let container = Container::new("r.example/a", []);
        let made = |identity: &JobIdentity| job(identity, &container, Duration::from_secs(60)).unwrap();
        let (one, other) = (made(&identity()), made(&JobIdentity { execution: "8".to_owned(), ..identity() }));
        assert_ne!(one.key().name, other.key().name);
        assert!(one.key().name.starts_with("suite-staging-a-very-long-name-o-"), "{}", one.key());
        assert!(one.key().name.len() <= 57);
        assert!(is_of(&one, &identity()) && !is_of(&other, &identity()));
        // Both belong to the environment's suites.
        let selector = selector(&identity());
        assert!(selector.ends_with("orchestrator.dev/environment=staging"), "{selector}");
        assert!(!one.is_true("/spec/suspend"), "nothing to wait for");
    }
}
