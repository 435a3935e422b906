//! The wait for objects that were deleted: finalizers and pods can take their time, and until then they are there.

use std::time::{Duration, Instant};

use cluster::{Object, ObjectKey};

use super::environment::EnvironmentNamespace;
use crate::error::DeployError;
use crate::problem::escaped;

/// How often it is asked whether they are there.
const PAUSE: Duration = Duration::from_millis(500);
/// The finalizer of an object that is there as long as others that it owns, such as the pods of a workload.
const OWNED: &str = "foregroundDeletion";

impl EnvironmentNamespace {
    /// Waits until no object of these UIDs is there any more.
    ///
    /// # Errors
    ///
    /// [`DeployError::NotDeployed`] with what is still there at the deadline, and what it waits for.
    pub(crate) async fn until_gone(
        &self,
        subject: impl Fn() -> String,
        deleted: &[(ObjectKey, String)],
    ) -> Result<(), DeployError> {
        loop {
            let mut there = Vec::new();
            for (key, uid) in deleted {
                let live = self.connection.find(key).await?;
                there.extend(live.filter(|live| live.uid() == Some(uid)));
            }
            if there.is_empty() {
                return Ok(());
            }
            let is_late = Instant::now() >= self.deadline;
            // What nothing deletes does not go by itself.
            let stays = there.iter().any(|live| !live.is_terminating());
            if stays || is_late || self.interrupt.is_requested() {
                let why = if stays {
                    String::new()
                } else if is_late {
                    ", when the deadline passed".to_owned()
                } else {
                    format!(", {}", self.stopped("when it was interrupted"))
                };
                let there: Vec<String> = there.iter().map(still_there).collect();
                let reason = format!("{}{why}", there.join("; "));
                return Err(DeployError::NotDeployed { subject: subject(), reason, dossier: None });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// An object that was to be deleted and is there, with what keeps it.
pub(crate) fn still_there(live: &Object) -> String {
    if !live.is_terminating() {
        return format!("{} is still there, and its deletion was not taken: delete it by hand", live.key());
    }
    let finalizers = live.list("/metadata/finalizers").iter().filter_map(serde_json::Value::as_str);
    let reasons: Vec<String> = finalizers
        .map(|finalizer| match finalizer {
            OWNED => "what it owns, such as its pods, is still there".to_owned(),
            other => format!("finalizer `{}` is not taken off", escaped(other)),
        })
        .collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    format!("{} was deleted and is still there{reasons}", live.key())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b29_what_keeps_a_deleted_object_is_named() {
        let live = |finalizers: serde_json::Value| {
            let mut metadata = json!({ "name": "web", "namespace": "shop", "finalizers": finalizers });
            if !finalizers.is_null() {
                metadata["deletionTimestamp"] = "2026-01-05T09:00:00Z".into();
            }
            still_there(&Object::new(json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata })).unwrap())
        };
        let told = live(json!(["guard.example/x", OWNED]));
        assert!(told.contains("finalizer `guard.example/x` is not taken off, what it owns"), "{told}");
        assert!(live(json!([])).ends_with("was deleted and is still there"));
        let refused = live(json!(null));
        assert!(refused.contains("its deletion was not taken") && !refused.contains("was deleted"), "{refused}");
    }
}
