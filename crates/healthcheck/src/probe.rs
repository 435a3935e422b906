//! Asking one question.

use std::time::Duration;

use reqwest::Client;
use tokio::net::TcpStream;
use tokio::time::timeout;

use process::{Invocation, ProcessError};

use crate::address;
use crate::check::{Check, CommandProbe, HttpProbe, Probe, TcpProbe};
use crate::client::{LookupError, lookup};
use crate::report::CheckState;
use crate::text::{EXCERPT_CHARACTERS, innermost, shown};

/// How much of a program's output is kept.
const OUTPUT_KEPT: usize = 64 * 1024;

pub(crate) type Answer = (CheckState, String);

pub(crate) async fn ask(check: &Check, client: &Client) -> Answer {
    let deadline = check.deadline;
    match &check.probe {
        Probe::Http(probe) => timeout(deadline, http(probe, client)).await.unwrap_or_else(|_| late(deadline)),
        Probe::Tcp(probe) => timeout(deadline, tcp(probe)).await.unwrap_or_else(|_| late(deadline)),
        // Ends by itself: the deadline is the program's.
        Probe::Command(probe) => command(probe.clone(), deadline).await,
    }
}

fn late(deadline: Duration) -> Answer {
    (CheckState::Unknown, format!("no answer within {}", in_words(deadline)))
}

fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

async fn http(probe: &HttpProbe, client: &Client) -> Answer {
    if !matches!(probe.url.scheme(), "http" | "https") {
        return (CheckState::Unknown, format!("`{}` is not a scheme that is asked", probe.url.scheme()));
    }
    if let Some(denied) = address::literal(&probe.url).filter(|address| address::is_denied(*address)) {
        return (CheckState::Unknown, format!("`{denied}` is a link-local address, which is never asked"));
    }
    let mut response = match client.get(probe.url.clone()).send().await {
        Ok(response) => response,
        Err(error) if error.is_timeout() => {
            return (CheckState::Unknown, "no answer: connecting took too long".to_owned());
        }
        // Nobody listens, or the name is unknown: the second says nothing about the service.
        Err(error) if error.is_connect() => return (connect_state(&error), innermost(&error)),
        Err(error) => return (CheckState::Unknown, innermost(&error)),
    };
    let status = response.status();
    if status.as_u16() == probe.status {
        return (CheckState::Healthy, format!("status {}", status.as_u16()));
    }
    let mut detail = format!("status {}, expected {}", status.as_u16(), probe.status);
    if status.is_redirection() {
        detail.push_str("; redirects are not followed");
    } else if let Some(body) = beginning(&mut response).await {
        detail.push_str(": ");
        detail.push_str(&body);
    }
    (CheckState::Unhealthy, detail)
}

fn connect_state(error: &reqwest::Error) -> CheckState {
    let mut source: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::ConnectionReset)
        {
            return CheckState::Unhealthy;
        }
        source = inner.source();
    }
    CheckState::Unknown
}

/// The first characters of a body; the rest is never read.
async fn beginning(response: &mut reqwest::Response) -> Option<String> {
    let mut bytes = Vec::new();
    // A character has at most four bytes, and one more is needed to see that there is a rest.
    while bytes.len() < (EXCERPT_CHARACTERS + 1) * 4 {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let text = shown(&bytes);
    (!text.is_empty()).then_some(text)
}

async fn tcp(probe: &TcpProbe) -> Answer {
    let address = probe.address.strip_prefix("tcp://").unwrap_or(&probe.address);
    let parsed = address.rsplit_once(':').and_then(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some((host, port.parse::<u16>().ok()?))
    });
    let Some((host, port)) = parsed else {
        return (CheckState::Unknown, format!("`{}` is not HOST:PORT", shown(address)));
    };
    let addresses = match lookup(host, port).await {
        Ok(addresses) => addresses,
        Err(LookupError::Denied(denied)) => return (CheckState::Unknown, denied.to_string()),
        Err(LookupError::Io(error)) => {
            return (CheckState::Unknown, format!("`{}` does not resolve: {}", shown(host), shown(&error.to_string())));
        }
    };
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(_) => return (CheckState::Healthy, "accepts connections".to_owned()),
            Err(error) => last = shown(&error.to_string()),
        }
    }
    (CheckState::Unhealthy, last)
}

async fn command(probe: CommandProbe, deadline: Duration) -> Answer {
    let ended = tokio::task::spawn_blocking(move || {
        Invocation::new(&probe.program)
            .args(&probe.arguments)
            .envs(&probe.environment)
            .current_dir(&probe.folder)
            .deadline(deadline)
            .keep_last(OUTPUT_KEPT)
            .redact(&probe.redactor)
            .interrupt(&probe.interrupt)
            .run()
    })
    .await;
    match ended {
        Ok(Ok(output)) if output.success() => (CheckState::Healthy, "exit status 0".to_owned()),
        Ok(Ok(output)) => {
            let said = output.last_words(1).pop().map(|line| format!(": {}", shown(&line))).unwrap_or_default();
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
    let mut text = shown(&error.to_string());
    if let Some(source) = std::error::Error::source(error) {
        text.push_str(": ");
        text.push_str(&innermost(source));
    }
    text
}
