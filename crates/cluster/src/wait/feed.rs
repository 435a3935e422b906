use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher;
use lock_model::ErrorClass;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::connection::{Connection, typed};
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};

/// How long the API server may keep one watch open, in seconds; a dead connection is noticed shortly after.
const WATCH_SECONDS: u32 = 60;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// An API server that has just started refuses rights and kinds that it has not read yet.
const STARTING: Duration = Duration::from_secs(10);

/// One watch.
pub(super) struct Feed {
    pub(super) id: usize,
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    /// Whether objects of this kind are waited for themselves.
    pub(super) is_required: bool,
    /// What is watched of the kind, as a field selector; empty: all of it.
    pub(super) fields: &'static str,
}

/// What a watch reports.
pub(super) enum Update {
    /// All objects follow again.
    Restarted(usize),
    /// All objects were reported.
    Listed(usize),
    Applied(usize, Box<Object>),
    Deleted(Box<Object>),
    Disturbed(String),
    /// An optional kind cannot be watched.
    Unseen(String),
    /// A required kind cannot be watched.
    Fatal(ClusterError),
}

impl Feed {
    /// Whether an object is among those that it watches.
    pub(super) fn reports(&self, key: &ObjectKey) -> bool {
        self.kind == key.kind && self.namespace == key.namespace
    }

    /// Ends when the receiver is gone, or when the kind cannot be watched.
    pub(super) async fn run(self, connection: Connection, updates: UnboundedSender<Update>) {
        if let Err(error) = self.watch(&connection, &updates).await {
            let update = if self.is_required {
                Update::Fatal(error)
            } else {
                Update::Unseen(format!("{} cannot be watched: {error}", self.kind))
            };
            // Without a receiver the wait is over.
            drop(updates.send(update));
        }
    }

    async fn watch(&self, connection: &Connection, updates: &UnboundedSender<Update>) -> Result<(), ClusterError> {
        let mut trouble = Trouble::default();
        let resource = loop {
            match connection.resource(&self.kind).await {
                Ok(resource) => break resource,
                Err(error) => trouble.rest(error, updates).await?,
            }
        };
        let known = ApiResource {
            group: self.kind.group.clone(),
            version: self.kind.version.clone(),
            api_version: self.kind.api_version(),
            kind: self.kind.kind.clone(),
            plural: resource.plural,
        };
        let client = connection.transport.client.clone();
        let api: Api<DynamicObject> = match self.namespace.as_deref().filter(|_| resource.is_namespaced) {
            Some(namespace) => Api::namespaced_with(client, namespace, &known),
            None => Api::all_with(client, &known),
        };
        let mut config = watcher::Config::default().timeout(WATCH_SECONDS);
        if !self.fields.is_empty() {
            config = config.fields(self.fields);
        }
        let mut stream = pin!(watcher(api, config));
        let mut trouble = Trouble::default();
        while let Some(event) = stream.next().await {
            let update = match event {
                Ok(watcher::Event::Init) => Some(Update::Restarted(self.id)),
                Ok(watcher::Event::InitDone) => {
                    trouble = Trouble::default();
                    Some(Update::Listed(self.id))
                }
                Ok(watcher::Event::InitApply(object)) => {
                    self.read(object).map(|object| Update::Applied(self.id, object))
                }
                Ok(watcher::Event::Apply(object)) => {
                    trouble = Trouble::default();
                    self.read(object).map(|object| Update::Applied(self.id, object))
                }
                Ok(watcher::Event::Delete(object)) => self.read(object).map(Update::Deleted),
                // The next poll lists again.
                Err(error) => {
                    trouble.rest(self.error(connection, error), updates).await?;
                    None
                }
            };
            if update.is_some_and(|update| updates.send(update).is_err()) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read(&self, object: DynamicObject) -> Option<Box<Object>> {
        let mut value = serde_json::to_value(object).ok()?;
        if let Some(metadata) = value.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
            // Half of an object, and no rule reads it.
            metadata.remove("managedFields");
            if let Some(annotations) = metadata.get_mut("annotations").and_then(serde_json::Value::as_object_mut) {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        Object::new(typed(value, &self.kind)).ok().map(Box::new)
    }

    fn error(&self, connection: &Connection, error: watcher::Error) -> ClusterError {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => connection.transport.error(&self.kind, error),
            watcher::Error::WatchError(status) => connection.transport.error(&self.kind, kube::Error::Api(status)),
            watcher::Error::NoResourceVersion => {
                let reason = "has no `resourceVersion`: this kind cannot be watched".to_owned();
                ClusterError::new(&self.kind, ClusterErrorKind::Answer { reason })
            }
        }
    }
}

/// A watch that does not run.
#[derive(Default)]
struct Trouble {
    /// Since when the API server answers as one that is starting.
    starting: Option<Instant>,
    pause: Option<Duration>,
}

impl Trouble {
    /// Waits before the next attempt; `Err` where there is no use in one.
    async fn rest(&mut self, error: ClusterError, updates: &UnboundedSender<Update>) -> Result<(), ClusterError> {
        let longest = if error.class() == ErrorClass::Temporary {
            // What is away starts later.
            self.starting = None;
            LONGEST_PAUSE
        } else if is_answer_of_a_starting_server(error.kind())
            && self.starting.get_or_insert_with(Instant::now).elapsed() < STARTING
        {
            STARTING / 5
        } else {
            return Err(error);
        };
        let pause = error.retry_after().unwrap_or_default().max(self.pause.unwrap_or(FIRST_PAUSE));
        self.pause = Some((pause * 2).min(longest));
        drop(updates.send(Update::Disturbed(error.to_string())));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn is_answer_of_a_starting_server(kind: &ClusterErrorKind) -> bool {
    matches!(
        kind,
        ClusterErrorKind::Unauthorized
            | ClusterErrorKind::Forbidden { .. }
            | ClusterErrorKind::NotFound
            | ClusterErrorKind::UnknownKind
            | ClusterErrorKind::Rejected { .. }
            | ClusterErrorKind::Answer { .. }
    )
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn not_found() -> ClusterError {
        ClusterError::new("ConfigMap", ClusterErrorKind::NotFound)
    }

    /// On a busy machine a server is away for longer than a start may take, and starts then.
    #[tokio::test(start_paused = true)]
    async fn f21_the_start_of_a_server_is_timed_from_its_first_answer() {
        let (sender, _receiver) = unbounded_channel();
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        while begin.elapsed() < 3 * STARTING {
            let kind = ClusterErrorKind::TimedOut { limit: Duration::from_secs(1) };
            trouble.rest(ClusterError::new("ConfigMap", kind), &sender).await.unwrap();
        }
        let begin = Instant::now();
        while trouble.rest(not_found(), &sender).await.is_ok() {}
        let took = begin.elapsed();
        assert!((STARTING..2 * STARTING).contains(&took), "{took:?}");
    }
}
