//! The cluster of the current kubeconfig context, and the demo's namespace in it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::{Allowed, ClusterError, Connection, Kind, Kubeconfig, Object, ObjectKey, Patience, Propagation};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{PATIENCE, REMOVAL};
use crate::environment;
use orchestrator::{Error, ErrorKind, Result};

/// How often the API server is asked whether the namespace is gone.
const PAUSE: Duration = Duration::from_secs(1);

/// How a kubeconfig becomes one that stands for itself.
const FLATTEN: &str = "`kubectl config view --minify --flatten --raw > demo.kubeconfig`, then `KUBECONFIG=demo.kubeconfig`; \
                       a login by a program is replaced by a token: `kubectl create token`";

/// The label that tells a demo's namespace from others.
const MADE_BY_LABEL: &str = "app.kubernetes.io/managed-by";
const MADE_BY_POINTER: &str = "/metadata/labels/app.kubernetes.io~1managed-by";
const MADE_BY: &str = "orchestrator-demo";

/// A namespace that does not exist yet.
pub(super) struct Place {
    pub(super) context: String,
    pub(super) server: String,
    pub(super) namespace: String,
    kubeconfig: Kubeconfig,
    connection: Connection,
}

impl Place {
    /// Finds the cluster, and refuses a namespace that is there.
    pub(super) async fn find(namespace: &str) -> Result<Self> {
        let unusable = |error: ClusterError| {
            Error::from_source(ErrorKind::Usage, "the kubeconfig cannot be used by the demo", error).hint(FLATTEN)
        };
        let kubeconfig = Kubeconfig::parse(&read()?, None, &Allowed::default()).map_err(unusable)?;
        let patience = Patience { request: PATIENCE / 4, retries: PATIENCE / 4 };
        let connection = Connection::new(&kubeconfig, patience).await.map_err(unusable)?;
        let place = Self {
            context: kubeconfig.context().to_owned(),
            server: kubeconfig.server().to_owned(),
            namespace: namespace.to_owned(),
            kubeconfig,
            connection,
        };
        match place.connection.find(&place.key()).await {
            Ok(None) => Ok(place),
            Ok(Some(found)) => {
                let error =
                    Error::new(ErrorKind::Usage, format!("namespace `{namespace}` exists, and the demo makes its own"))
                        .hint("name another one with `--namespace`");
                if found.text(MADE_BY_POINTER) != Some(MADE_BY) {
                    return Err(error);
                }
                Err(error.hint(format!(
                    "a demo that was killed has left it: `kubectl delete namespace {namespace}`, and delete its images below its \
                     `--registry`"
                )))
            }
            Err(error) => Err(place.failed("looked for", error)),
        }
    }

    /// For the commands of the story; holds credentials.
    pub(super) fn kubeconfig(&self) -> OsString {
        self.kubeconfig.to_json().expose_secret().into()
    }

    pub(super) async fn create(&self) -> Result<()> {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": self.namespace, "labels": { MADE_BY_LABEL: MADE_BY } } });
        let made = match Object::new(namespace) {
            Ok(object) => self.connection.create(&object).await,
            Err(error) => Err(error),
        };
        made.map(drop).map_err(|error| self.failed("made", error))
    }

    /// Removes the namespace and waits until it is gone.
    pub(super) async fn remove(&self) -> std::result::Result<String, ClusterError> {
        let key = self.key();
        let Some(uid) = self.connection.find(&key).await?.and_then(|found| found.uid().map(str::to_owned)) else {
            return Ok(format!("namespace `{}` was not made", self.namespace));
        };
        self.connection.delete(&key, &uid, Propagation::Background).await?;
        let deadline = Instant::now() + REMOVAL;
        while self.connection.find(&key).await?.is_some_and(|found| found.uid() == Some(uid.as_str())) {
            if Instant::now() >= deadline {
                return Ok(format!("namespace `{}` is being removed by the cluster", self.namespace));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(format!("namespace `{}` is gone", self.namespace))
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::of_cluster(Kind::new("v1", "Namespace"), self.namespace.as_str())
    }

    fn failed(&self, what: &str, error: ClusterError) -> Error {
        let kind = ErrorKind::of(error.class(), ErrorKind::Denied, ErrorKind::Repository);
        Error::from_source(kind, format!("namespace `{}` cannot be {what}", self.namespace), error)
    }
}

/// The one file that `KUBECONFIG` names, else the one in the home folder.
fn read() -> Result<Vec<u8>> {
    let named = environment::read(environment::KUBECONFIG);
    let home = environment::read(environment::HOME).map(|home| PathBuf::from(home).join(".kube/config"));
    let path = named.map(PathBuf::from).or(home).unwrap_or_default();
    orchestrator::read_input(&path).map_err(|error| {
        orchestrator::unreadable(ErrorKind::Usage, format!("the kubeconfig `{}` cannot be read", path.display()), error)
            .hint("`KUBECONFIG` names one file; without it the demo reads `~/.kube/config`")
    })
}
