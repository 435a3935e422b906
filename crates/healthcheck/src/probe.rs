//! One probe.

use std::time::Duration;

use lock_model::escaping::{excerpt, mask_address};
use reqwest::Method;
use tokio::time::timeout;

use process::{Invocation, ProcessError};

use crate::check::{Check, CommandProbe, HttpProbe, NameProbe, Probe, TcpProbe};
use crate::connection::{connect, unhealthy, unknown};
use crate::report::CheckState;
use crate::text::innermost;
use http_client::{HttpClient, LookupError, lookup};

/// How much of a program's output is kept.
const OUTPUT_KEPT: usize = 64 * 1024;

/// A state and its detail.
pub(crate) type Found = (CheckState, String);

pub(crate) async fn run(check: &Check, client: &HttpClient) -> Found {
    let deadline = check.deadline;
    let answer = async {
        match &check.probe {
            Probe::Http(probe) => probe.run(client).await,
            Probe::Prometheus(probe) => probe.run(client).await,
            Probe::Service(probe) => probe.run().await,
            Probe::Certificate(probe) => probe.run().await,
            Probe::Name(probe) => name(probe).await,
            Probe::Tcp(probe) => tcp(probe).await,
            Probe::Command(probe) => command(probe.clone(), deadline).await,
        }
    };
    let (state, detail) = match &check.probe {
        // The process supervisor keeps the deadline, since dropping the future would not end the program.
        Probe::Command(_) => answer.await,
        Probe::Http(_)
        | Probe::Prometheus(_)
        | Probe::Service(_)
        | Probe::Certificate(_)
        | Probe::Name(_)
        | Probe::Tcp(_) => timeout(deadline, answer).await.unwrap_or_else(|_| late(deadline)),
    };
    match (state, asked(&check.probe)) {
        (CheckState::Unhealthy | CheckState::Unknown, Some(asked)) => (state, format!("{asked}: {detail}")),
        (CheckState::Healthy, _) | (CheckState::Unhealthy | CheckState::Unknown, None) => (state, detail),
    }
}

/// What was asked, without the credentials of its address; a program is named by its check.
fn asked(probe: &Probe) -> Option<String> {
    match probe {
        Probe::Http(probe) => Some(asked_http(probe)),
        Probe::Prometheus(probe) => Some(asked_http(&probe.http)),
        Probe::Service(probe) => Some(probe.asked()),
        Probe::Certificate(probe) => Some(format!("tls://{}", excerpt(probe.endpoint.name()))),
        Probe::Name(probe) => Some(format!("name `{}`", excerpt(&probe.name))),
        Probe::Tcp(probe) => Some(format!("tcp://{}", excerpt(host_and_port(probe)))),
        Probe::Command(_) => None,
    }
}

fn asked_http(probe: &HttpProbe) -> String {
    let address = mask_address(probe.url.as_str());
    let through = probe.dialled.as_ref().map_or(String::new(), |endpoint| format!(" through {}", endpoint.name()));
    format!("{} {}{through}", Method::GET, excerpt(probe.redactor.redact(&address)))
}

/// The answer of what did not answer in time.
pub fn late(deadline: Duration) -> (CheckState, String) {
    (CheckState::Unknown, format!("no answer within {}", in_words(deadline)))
}

pub(crate) fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

fn host_and_port(probe: &TcpProbe) -> &str {
    probe.address.strip_prefix("tcp://").unwrap_or(&probe.address)
}

async fn tcp(probe: &TcpProbe) -> Found {
    match connect(host_and_port(probe)).await {
        Ok(_) => (CheckState::Healthy, "accepts connections".to_owned()),
        Err(found) => found,
    }
}

async fn name(probe: &NameProbe) -> Found {
    match lookup(&probe.name, 0).await {
        Ok(addresses) if addresses.is_empty() => unhealthy("the name has no address"),
        Ok(_) => (CheckState::Healthy, "the name has an address".to_owned()),
        // No server answered; everything else is the answer that there is none.
        Err(LookupError::Io(error)) if error.to_string().contains("Temporary failure") => {
            unknown(excerpt(error.to_string()))
        }
        Err(LookupError::Io(error)) => unhealthy(excerpt(error.to_string())),
        Err(error @ LookupError::LinkLocal(_)) => unknown(error.to_string()),
    }
}

async fn command(probe: CommandProbe, deadline: Duration) -> Found {
    let ended = tokio::task::spawn_blocking(move || {
        Invocation::new(&probe.program)
            .args(&probe.args)
            .envs(&probe.envs)
            .current_dir(&probe.folder)
            .deadline(deadline)
            .keep_last(OUTPUT_KEPT)
            .redact(&probe.redactor)
            .interrupt(&probe.interrupt)
            .launched_by(probe.launcher.as_ref())
            .run()
    })
    .await;
    match ended {
        Ok(Ok(output)) if output.success() => (CheckState::Healthy, "exit status 0".to_owned()),
        Ok(Ok(output)) => {
            let said = output.last_lines(1).pop().map(|line| format!(": {}", excerpt(&line))).unwrap_or_default();
            // A program that was killed did not answer.
            let state = if output.code.is_some() { CheckState::Unhealthy } else { CheckState::Unknown };
            (state, format!("ended with {}{said}", output.status()))
        }
        Ok(Err(error)) if error.is_deadline() => late(deadline),
        Ok(Err(error)) => (CheckState::Unknown, reason(&error)),
        Err(_) => (CheckState::Unknown, "the probe itself failed".to_owned()),
    }
}

fn reason(error: &ProcessError) -> String {
    let mut text = excerpt(error.to_string());
    if let Some(source) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&innermost(source));
    }
    text
}
