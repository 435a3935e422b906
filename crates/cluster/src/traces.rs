//! What a cluster remembers of something that failed: events and logs.

use std::time::Duration;

use serde_json::Value;

use crate::connection::{Connection, Selection, with_query};
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, ObjectKey};
use crate::transport::Call;

/// One event that the cluster recorded for an object; its texts are foreign: masked, and not escaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ClusterEvent {
    /// When it was seen last, as RFC 3339; empty where the cluster does not say.
    pub last_seen: String,
    /// Whether it is of the type `Warning`.
    pub is_warning: bool,
    /// `reason` of the event, such as `BackOff`.
    pub reason: String,
    /// `message` of the event.
    pub message: String,
    /// How often it was seen.
    pub count: i64,
}

/// Which part of a container's log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogTail {
    /// Of the container that ran before the last restart.
    pub previous: bool,
    /// At most so many of the last lines.
    pub lines: u32,
    /// At most so many bytes of them.
    pub bytes: u32,
}

/// How long the request for a log is repeated after a failure.
const LOG_RETRIES: Duration = Duration::from_secs(3);

impl Connection {
    /// The events of one object, the oldest first.
    pub async fn events(&self, object: &ObjectKey, uid: &str) -> Result<Vec<ClusterEvent>, ClusterError> {
        let selection = Selection { fields: format!("involvedObject.uid={uid}"), ..Selection::default() };
        let found = self.list(&Kind::new("v1", "Event"), object.namespace.as_deref(), &selection).await?;
        let mut events: Vec<_> = found
            .iter()
            .map(|event| {
                let text = |pointer: &str| self.transport.secrets.redact(event.text(pointer).unwrap_or_default());
                let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
                let count = event.integer("/series/count").or_else(|| event.integer("/count"));
                ClusterEvent {
                    last_seen: times.into_iter().find_map(|time| event.text(time)).unwrap_or_default().to_owned(),
                    is_warning: event.text("/type") == Some("Warning"),
                    reason: text("/reason"),
                    message: text("/message"),
                    count: count.unwrap_or(1),
                }
            })
            .collect();
        events.sort();
        Ok(events)
    }

    /// The end of a container's log: foreign text, masked and not escaped. `None` where there is none: the container has not
    /// run or printed, or its log was removed.
    pub async fn logs(&self, pod: &ObjectKey, container: &str, tail: LogTail) -> Result<Option<String>, ClusterError> {
        let address = self.resource(&pod.kind).await?.address(pod)?;
        let query = [
            ("container", container.to_owned()),
            ("previous", tail.previous.to_string()),
            ("tailLines", tail.lines.to_string()),
            ("limitBytes", tail.bytes.to_string()),
        ];
        let call = Call::get(with_query(&format!("{address}/log"), &query));
        // A node that fails to give a log goes on so; an API server that is starting is back soon.
        let mut transport = self.transport.clone();
        transport.patience.retries = transport.patience.retries.min(LOG_RETRIES);
        match transport.send_text(&format!("the log of {pod}, container {container}"), &call).await {
            // The kubelet answers so, with success, when it has removed the log already.
            Ok(text) if text.starts_with("unable to retrieve container logs for ") && !text.contains('\n') => Ok(None),
            Ok(text) => Ok(Some(self.masked(&text, tail)).filter(|text| !text.is_empty())),
            Err(error) => match error.kind() {
                ClusterErrorKind::NotFound | ClusterErrorKind::Rejected { .. } => Ok(None),
                // The API server passes on what the node answers.
                ClusterErrorKind::Busy { status: status @ 500, message, .. } => {
                    let reason = format!("is that the node does not give it ({status}): {message}");
                    Err(ClusterError::new(error.subject(), ClusterErrorKind::Answer { reason }))
                }
                _ => Err(error),
            },
        }
    }
}

impl Connection {
    /// A log that was cut may end within a secret.
    fn masked(&self, text: &str, tail: LogTail) -> String {
        if text.len() < usize::try_from(tail.bytes).unwrap_or(usize::MAX) {
            self.transport.secrets.redact(text)
        } else {
            self.transport.secrets.redact_beginning(text)
        }
    }
}

/// One thing that the user of a connection may want to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// The verb of the API, such as `create`.
    pub verb: String,
    /// The API group, such as `apps`; empty for the core group.
    pub group: String,
    /// The plural name of the kind, such as `deployments`.
    pub resource: String,
    /// Absent for kinds without namespaces.
    pub namespace: Option<String>,
    /// The only object that it is needed for; absent for all.
    pub name: Option<String>,
}

impl Connection {
    /// Whether the user of this connection may do it. A right on one object counts where its name is given.
    pub async fn may(&self, access: &Access) -> Result<bool, ClusterError> {
        let general = Access { name: None, ..access.clone() };
        if self.review(&general).await? {
            return Ok(true);
        }
        if access.name.is_some() { self.review(access).await } else { Ok(false) }
    }

    pub(crate) async fn review(&self, access: &Access) -> Result<bool, ClusterError> {
        let review = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": access.verb,
                "group": access.group,
                "resource": access.resource,
                "namespace": access.namespace.as_deref().unwrap_or_default(),
                "name": access.name.as_deref().unwrap_or_default(),
            } },
        });
        let subject = format!("the right to {} {}", access.verb, access.resource);
        let call = Call::json(http::Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review);
        let answer = self.transport.send(&subject, &call).await?;
        answer.pointer("/status/allowed").and_then(Value::as_bool).ok_or_else(|| {
            let reason = "says neither yes nor no".to_owned();
            ClusterError::new(subject, ClusterErrorKind::Answer { reason })
        })
    }
}
