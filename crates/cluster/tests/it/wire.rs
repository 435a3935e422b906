//! Answers that a busy API server, or one that has forgotten, gives: at a door before a real one, since none can be made to
//! give them when a test wants.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cluster::{ApplyMode, Awaited, Kind, Selection, WaitEnd, WaitEvent, WaitOptions};
use serde_json::json;
use test_support::{Act, Cluster};

use crate::live::{connect, deployment};

/// What priority and fairness answer: no object, and the time in a header.
const TOO_BUSY: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 2\r\nContent-Length: \
                        44\r\nConnection: close\r\n\r\nToo many requests, please try again later.\r\n";

/// An answer of the API server that is a failure.
fn failure(status: &str, reason: &str, code: u16) -> String {
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "of the test", "reason": reason, "code": code });
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// What was forgotten is listed anew, and an object that came meanwhile is seen.
#[tokio::test(flavor = "multi_thread")]
async fn f21_a_watch_that_has_expired_is_begun_anew() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let expired = json!({ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410 } });
    let event = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{expired}\n");
    let watches = AtomicUsize::new(0);
    let gate = cluster.gate_or_skip(move |line| {
        if !(line.contains("/deployments?") && line.contains("watch=true")) {
            return Act::Pass;
        }
        match watches.fetch_add(1, Ordering::SeqCst) {
            0 => Act::Answer(event.clone()),
            1 => Act::Answer(failure("410 Gone", "Expired", 410)),
            _ => Act::Pass,
        }
    });
    let Some(gate) = gate else { return };
    let (admin, connection) = (connect(cluster.kubeconfig()).await, connect(gate.kubeconfig()).await);
    let shop = cluster.fake_namespace("expired");
    let late = deployment(&shop, "late", json!({ "image": "r.io/a:1" }));
    let disturbed = AtomicUsize::new(0);
    let options = WaitOptions { time_limit: Duration::from_secs(60), ..WaitOptions::default() };
    let events = |event: WaitEvent<'_>| {
        if matches!(event, WaitEvent::Disturbed { .. }) {
            disturbed.fetch_add(1, Ordering::SeqCst);
        }
    };
    let awaited = [Awaited::named(late.key().clone())];
    let waiting = connection.wait(&awaited, &options, pending(), &events);
    let applying = async {
        while disturbed.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        admin.apply(&late, ApplyMode::default()).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(waiting, applying);
    let outcome = outcome.unwrap();
    assert_eq!(outcome.end, WaitEnd::Ready, "{:?}", outcome.verdicts);
    let watches =
        gate.requests().iter().filter(|line| line.contains("/deployments?") && line.contains("watch=true")).count();
    assert!(watches >= 3, "{watches} watches");
}

/// A server that asks for time gets it, for lists, watches and writes.
#[tokio::test(flavor = "multi_thread")]
async fn f21_a_server_that_is_too_busy_is_asked_again_when_it_says() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if cluster.fake_nodes_or_skip(2).is_none() {
        return;
    }
    let (writes, reads) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let gate = cluster.gate_or_skip(move |line| {
        let asked = if line.starts_with("PATCH ") { &writes } else { &reads };
        let is_meant = line.contains("/deployments?") || line.contains("/deployments/busy?");
        if is_meant && asked.fetch_add(1, Ordering::SeqCst) < 2 {
            return Act::Answer(TOO_BUSY.to_owned());
        }
        Act::Pass
    });
    let Some(gate) = gate else { return };
    let connection = connect(gate.kubeconfig()).await;
    let shop = cluster.fake_namespace("busy");
    let begin = Instant::now();
    let object =
        connection.apply(&deployment(&shop, "busy", json!({ "image": "r.io/a:1" })), ApplyMode::default()).await;
    let object = object.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(4), "it is asked again after two seconds: {:?}", begin.elapsed());
    let begin = Instant::now();
    let options = WaitOptions { time_limit: Duration::from_secs(60), ..WaitOptions::default() };
    let outcome = connection.wait(&[Awaited::applied(&object)], &options, pending(), &|_| ()).await.unwrap();
    assert_eq!(outcome.end, WaitEnd::Ready, "{:?}", outcome.verdicts);
    assert!(begin.elapsed() >= Duration::from_secs(4), "{:?}", begin.elapsed());
    let asked = gate.requests().iter().filter(|line| line.contains("/deployments/busy?")).count();
    assert_eq!(asked, 3, "no more often than it says: {:#?}", gate.requests());
}

/// While it starts, a server can serve a kind and not have its list yet: that is no answer about objects.
#[tokio::test(flavor = "multi_thread")]
async fn f21_a_list_that_is_not_there_yet_is_asked_for_again() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    let asked = AtomicUsize::new(0);
    let gate = cluster.gate_or_skip(move |line| {
        let is_early = line.contains("/configmaps?") && asked.fetch_add(1, Ordering::SeqCst) < 2;
        if is_early { Act::Answer(failure("404 Not Found", "NotFound", 404)) } else { Act::Pass }
    });
    let Some(gate) = gate else { return };
    let connection = connect(gate.kubeconfig()).await;
    let shop = cluster.namespace("starting");
    let maps = connection.list(&Kind::new("v1", "ConfigMap"), Some(&shop), &Selection::default()).await;
    maps.unwrap();
    assert_eq!(gate.requests().iter().filter(|line| line.contains("/configmaps?")).count(), 3);
}
