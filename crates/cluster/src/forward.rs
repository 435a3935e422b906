//! Connections to the pods behind a Service, through the API server.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use lock_model::escaping::excerpt;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::connection::{Connection, Selection};
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};
use crate::running::RunningPod;

/// How many characters of what a kubelet says are kept.
const KEPT: usize = 180;

/// A pod that takes requests of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServiceEndpoint {
    /// The pod, with what runs in it.
    pub pod: RunningPod,
    /// Its own port for them.
    pub port: u16,
}

impl Connection {
    /// The pods that take requests for a port of a Service now, in the order of their names.
    ///
    /// # Errors
    ///
    /// Where there is no such Service, or it has no such port.
    pub async fn service_endpoints(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
    ) -> Result<Vec<ServiceEndpoint>, ClusterError> {
        let key = ObjectKey::namespaced(Kind::new("v1", "Service"), namespace, service);
        let object = self.get(&key).await?;
        let name = port_name(&object, port).ok_or_else(|| {
            ClusterError::new(&key, ClusterErrorKind::NotAnObject { reason: format!("it has no port {port}") })
        })?;
        let selection = Selection { labels: format!("kubernetes.io/service-name={service}"), ..Selection::default() };
        let slices = self.list(&Kind::new("discovery.k8s.io/v1", "EndpointSlice"), Some(namespace), &selection).await?;
        let ready: Vec<(String, u16)> = slices.iter().flat_map(|slice| ready_pods(slice, &name)).collect();
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        let pods = self.list(&Kind::new("v1", "Pod"), Some(namespace), &Selection::default()).await?;
        let mut endpoints: Vec<_> = pods
            .iter()
            .filter_map(|pod| {
                let (_, port) = ready.iter().find(|(uid, _)| pod.uid() == Some(uid))?;
                Some(ServiceEndpoint { pod: RunningPod::of(pod), port: *port })
            })
            .collect();
        endpoints.sort_by(|one, other| one.pod.key.name.cmp(&other.pod.key.name));
        Ok(endpoints)
    }

    /// Opens a connection to a port of a pod. That nothing listens there shows when it is read.
    pub async fn forward(&self, pod: &ObjectKey, port: u16) -> Result<Forwarded, ClusterError> {
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let opened = tokio::time::timeout(self.patience().request, pods.portforward(&pod.name, &[port])).await;
        let opened = opened
            .map_err(|_| ClusterError::new(pod, ClusterErrorKind::TimedOut { limit: self.patience().request }))?;
        let mut forwarder = opened.map_err(|error| self.transport.error(pod, error))?;
        let no_stream =
            || ClusterError::new(pod, ClusterErrorKind::Client { reason: "the port-forward has no stream".to_owned() });
        let stream = forwarder.take_stream(port).ok_or_else(no_stream)?;
        let error = forwarder.take_error(port).ok_or_else(no_stream)?;
        Ok(Forwarded { stream, error: Some(Box::pin(error)) })
    }
}

/// The name of a port of a Service; empty where it has none.
fn port_name(service: &Object, port: u16) -> Option<String> {
    let ports = service.list("/spec/ports");
    let found = ports.iter().find(|one| one.get("port").and_then(Value::as_u64) == Some(port.into()))?;
    Some(found.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// The UIDs of the ready pods of a slice, with their own number of the port of that name.
fn ready_pods(slice: &Object, name: &str) -> Vec<(String, u16)> {
    let ports = slice.list("/ports");
    let named = |port: &&Value| port.get("name").and_then(Value::as_str).unwrap_or_default() == name;
    let number = ports.iter().find(named).and_then(|port| port.get("port")?.as_u64()?.try_into().ok());
    let Some(number) = number else { return Vec::new() };
    let endpoints = slice.list("/endpoints").iter();
    let condition = |endpoint: &Value, name: &str| endpoint.pointer(&format!("/conditions/{name}"))?.as_bool();
    endpoints
        .filter(|endpoint| condition(endpoint, "ready").unwrap_or(true))
        // One that is ending stays ready where a Service publishes addresses that are not.
        .filter(|endpoint| !condition(endpoint, "terminating").unwrap_or_default())
        .filter_map(|endpoint| Some((endpoint.pointer("/targetRef/uid")?.as_str()?.to_owned(), number)))
        .collect()
}

/// The end of what a kubelet says, where the reason is: it begins with the ids of the pod and its network.
fn end(said: &str) -> &str {
    let start = said.char_indices().rev().nth(KEPT - 1).map_or(0, |(start, _)| start);
    said.get(start..).unwrap_or(said)
}

/// A connection to a port of a pod. What the kubelet says of it is an error where the connection ends.
pub struct Forwarded {
    stream: DuplexStream,
    error: Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
}

impl std::fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarded").finish_non_exhaustive()
    }
}

impl AsyncRead for Forwarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let has_ended = matches!(&read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if has_ended
            && buffer.remaining() > 0
            && let Some(error) = &mut self.error
            && let Poll::Ready(said) = error.as_mut().poll(context)
        {
            self.error = None;
            if let Some(said) = said {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, excerpt(end(&said)))));
            }
        }
        read
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn q3_only_ready_pods_of_the_port_that_is_meant_count_and_none_that_is_ending() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": { "name": "db", "namespace": "a" },
            "spec": { "ports": [{ "name": "sql", "port": 5432, "targetPort": "pg" }, { "name": "metrics", "port": 80 }] },
        });
        let service = Object::new(service).unwrap();
        assert_eq!(port_name(&service, 5432).as_deref(), Some("sql"));
        assert_eq!(port_name(&service, 5433), None);
        let endpoint = |uid: &str, conditions: Value| json!({ "targetRef": { "kind": "Pod", "uid": uid }, "conditions": conditions });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": { "name": "db-x", "namespace": "a" },
            "ports": [{ "name": "metrics", "port": 9187 }, { "name": "sql", "port": 5433 }],
            "endpoints": [
                endpoint("ready", json!({ "ready": true })),
                endpoint("starting", json!({ "ready": false })),
                endpoint("draining", json!({ "ready": false, "serving": true, "terminating": true })),
                endpoint("published", json!({ "ready": true, "serving": true, "terminating": true })),
                endpoint("unsaid", json!({})),
                json!({ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }),
            ],
        });
        let slice = Object::new(slice).unwrap();
        let expected = vec![("ready".to_owned(), 5433), ("unsaid".to_owned(), 5433)];
        assert_eq!(ready_pods(&slice, "sql"), expected);
        assert_eq!(ready_pods(&slice, ""), Vec::new());
    }
}
