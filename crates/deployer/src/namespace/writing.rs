//! Whether helm may write the namespace now. What is written by way of the connection rests on the same proof.

use cluster::LeaseState;
use tokio::sync::{mpsc, oneshot};

use super::EnvironmentNamespace;
use crate::error::DeployError;

type Answer = oneshot::Sender<Result<(), DeployError>>;

/// Asks [`EnvironmentNamespace::may_write`] from a thread that blocks, such as one that starts helm.
#[derive(Clone, Debug)]
pub(crate) struct MayWrite {
    ask: mpsc::UnboundedSender<Answer>,
    subject: String,
}

/// The questions of such threads.
#[derive(Debug)]
pub(crate) struct WriteQuestions(mpsc::UnboundedReceiver<Answer>);

impl MayWrite {
    /// Waits for the answer; that is no where nothing answers any more, since the deployment was given up.
    pub(crate) fn ask(&self) -> Result<(), DeployError> {
        let (answer, answered) = oneshot::channel();
        // The answer tells where nothing asks the cluster any more.
        drop(self.ask.send(answer));
        answered.blocking_recv().unwrap_or_else(|_| {
            let (subject, reason) = (self.subject.clone(), "it was interrupted".to_owned());
            Err(DeployError::NotDeployed { subject, reason, dossier: None })
        })
    }
}

impl EnvironmentNamespace {
    /// Refuses the start of a helm that no proof of the lease covers. A namespace without a lease is written freely.
    pub(crate) async fn may_write(&self) -> Result<(), DeployError> {
        let Some(lease) = &self.lease else { return Ok(()) };
        match lease.prove().await? {
            LeaseState::Held | LeaseState::YieldTo(_) => Ok(()),
            LeaseState::Lost(_) => {
                let reason = self.stopped("it was interrupted");
                Err(DeployError::NotDeployed { subject: self.subject(), reason, dossier: None })
            }
        }
    }

    /// The question for threads that block, and what [`answer`](Self::answer) takes.
    pub(crate) fn write_questions(&self) -> (MayWrite, WriteQuestions) {
        let (ask, questions) = mpsc::unbounded_channel();
        (MayWrite { ask, subject: self.subject() }, WriteQuestions(questions))
    }

    /// Answers the questions of some work until it ends.
    pub(crate) async fn answer<T>(&self, mut questions: WriteQuestions, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                ended = &mut work => return ended,
                Some(answer) = questions.0.recv() => drop(answer.send(self.may_write().await)),
            }
        }
    }
}
