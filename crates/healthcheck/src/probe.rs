//! One probe.

use std::time::Duration;

use lock_model::escaping::{excerpt, mask_address};
use reqwest::Method;
use tokio::net::TcpStream;
use tokio::time::timeout;

use process::{Invocation, ProcessError, Redactor};

use crate::check::{Check, CommandProbe, HttpProbe, Probe, TcpProbe};
use crate::report::CheckState;
use crate::text::{first_line, innermost};
use http_client::{HttpClient, LookupError, lookup};

/// How much of a program's output is kept.
const OUTPUT_KEPT: usize = 64 * 1024;
/// How much of a body is read; the head of a page of HTML has to fit.
const BODY_READ: usize = 4 * 1024;

/// A state and its detail.
pub(crate) type Found = (CheckState, String);

pub(crate) async fn run(check: &Check, client: &HttpClient) -> Found {
    let deadline = check.deadline;
    let (state, detail) = match &check.probe {
        Probe::Http(probe) => timeout(deadline, http(probe, client)).await.unwrap_or_else(|_| late(deadline)),
        Probe::Tcp(probe) => timeout(deadline, tcp(probe)).await.unwrap_or_else(|_| late(deadline)),
        // The process supervisor keeps the deadline, since dropping the future would not end the program.
        Probe::Command(probe) => command(probe.clone(), deadline).await,
    };
    match (state, asked(&check.probe)) {
        (CheckState::Unhealthy | CheckState::Unknown, Some(asked)) => (state, format!("{asked}: {detail}")),
        (CheckState::Healthy, _) | (CheckState::Unhealthy | CheckState::Unknown, None) => (state, detail),
    }
}

/// What was asked, without the credentials of its address; a program is named by its check.
fn asked(probe: &Probe) -> Option<String> {
    match probe {
        Probe::Http(probe) => {
            let address = mask_address(probe.url.as_str());
            Some(format!("{} {}", Method::GET, excerpt(probe.redactor.redact(&address))))
        }
        Probe::Tcp(probe) => Some(format!("tcp://{}", excerpt(host_and_port(probe)))),
        Probe::Command(_) => None,
    }
}

fn late(deadline: Duration) -> Found {
    (CheckState::Unknown, format!("no answer within {}", in_words(deadline)))
}

fn in_words(duration: Duration) -> String {
    if duration.subsec_millis() == 0 && duration.as_secs() > 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

async fn http(probe: &HttpProbe, client: &HttpClient) -> Found {
    let request = match client.request(Method::GET, probe.url.clone()) {
        Ok(request) => request,
        Err(refused) => return (CheckState::Unknown, refused.to_string()),
    };
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_timeout() => {
            return (CheckState::Unknown, "no answer: connecting took too long".to_owned());
        }
        // A refused connection says that the service is down, an unknown name says nothing about the service.
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
    } else if let Some(body) = beginning(&mut response, &probe.redactor).await {
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

/// The first line of text in a body, of which only the beginning is read. Secrets are masked before anything is cut, and
/// where reading ended within one, what was read of it.
async fn beginning(response: &mut reqwest::Response, secrets: &Redactor) -> Option<String> {
    let mut bytes = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
        if bytes.len() > BODY_READ {
            bytes.truncate(BODY_READ);
            break false;
        }
    };
    if !secrets.is_empty() {
        bytes = secrets.redact_beginning(&String::from_utf8_lossy(&bytes)).into_bytes();
    }
    let (line, is_last) = first_line(&bytes)?;
    let mut text = excerpt(line);
    let is_all = is_whole && is_last;
    if !is_all && !text.ends_with('…') {
        text.push('…');
    }
    Some(text)
}

fn host_and_port(probe: &TcpProbe) -> &str {
    probe.address.strip_prefix("tcp://").unwrap_or(&probe.address)
}

async fn tcp(probe: &TcpProbe) -> Found {
    let address = host_and_port(probe);
    let parsed = address.rsplit_once(':').and_then(|(host, port)| {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some((host, port.parse::<u16>().ok()?))
    });
    let Some((host, port)) = parsed else {
        return (CheckState::Unknown, "the address is not HOST:PORT".to_owned());
    };
    let addresses = match lookup(host, port).await {
        Ok(addresses) => addresses,
        Err(error @ LookupError::LinkLocal(_)) => return (CheckState::Unknown, error.to_string()),
        Err(LookupError::Io(error)) => {
            return (
                CheckState::Unknown,
                format!("`{}` does not resolve: {}", excerpt(host), excerpt(error.to_string())),
            );
        }
    };
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(_) => return (CheckState::Healthy, "accepts connections".to_owned()),
            Err(error) => last = excerpt(error.to_string()),
        }
    }
    (CheckState::Unhealthy, last)
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
