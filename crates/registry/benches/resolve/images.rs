//! A shop's images, about as large as real ones, and the requests for them.

use std::time::Duration;

use lock_model::{CommitId, Platform};
use registry::layout::Blob;
use registry::media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST};
use registry::{ImageRequest, REVISION_LABEL, RevisionPolicy};
use serde_json::{Value, json};

/// The platforms of every image.
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
/// What a build of some steps leaves in a configuration.
const STEPS: usize = 12;
const LAYERS: usize = 8;

/// One image with all that a lock reads of it.
pub(crate) struct Image {
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) index: Blob,
    pub(crate) manifests: Vec<Blob>,
    /// Manifests of the index that are no images.
    pub(crate) attestations: Vec<Blob>,
    pub(crate) configs: Vec<Blob>,
}

impl Image {
    pub(crate) fn new(number: usize) -> Self {
        let configs: Vec<Blob> =
            ARCHITECTURES.iter().map(|name| Blob::json(OCI_CONFIG, &config(number, name))).collect();
        let manifests: Vec<Blob> = configs.iter().map(manifest).collect();
        let attestations: Vec<Blob> = manifests.iter().map(manifest).collect();
        let entries_of_attestations = manifests.iter().zip(&attestations).map(|(image, attestation)| {
            let mut entry = attestation.descriptor();
            entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
            entry["annotations"] = json!({
                "vnd.docker.reference.digest": image.digest,
                "vnd.docker.reference.type": "attestation-manifest",
            });
            entry
        });
        let images = manifests.iter().zip(ARCHITECTURES).map(|(image, architecture)| {
            let mut entry = image.descriptor();
            entry["platform"] = json!({ "architecture": architecture, "os": "linux" });
            entry
        });
        let entries: Vec<Value> = images.chain(entries_of_attestations).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
        Self {
            repository: repository(number),
            tag: tag(number),
            index: Blob::json(OCI_INDEX, &index),
            manifests,
            attestations,
            configs,
        }
    }
}

fn repository(number: usize) -> String {
    format!("shop/service-{number:05}")
}

fn commit(number: usize) -> String {
    // Not 0, which stands for no commit at all.
    format!("{:040x}", number + 1)
}

fn tag(number: usize) -> String {
    format!("main-{}", commit(number))
}

fn config(number: usize, architecture: &str) -> Value {
    let step = |step: usize| {
        json!({
            "created": format!("2025-11-20T21:14:{step:02}.123456789Z"),
            "created_by": format!("RUN /bin/sh -c install --no-cache package-{step} && clean # buildkit"),
            "comment": "buildkit.dockerfile.v0",
            "empty_layer": step >= LAYERS,
        })
    };
    let layer = |layer: usize| Blob::new("", format!("{architecture} {number} {layer}").into_bytes()).digest;
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2025-11-20T21:14:07.123456789Z",
        "config": {
            "User": "65532",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", format!("SERVICE=service-{number}")],
            "Entrypoint": ["/usr/local/bin/service"],
            "ExposedPorts": { "8080/tcp": {} },
            "Labels": {
                "org.opencontainers.image.title": format!("service-{number}"),
                "org.opencontainers.image.source": format!("https://forge.example/shop/service-{number}"),
                REVISION_LABEL: commit(number),
            },
        },
        "history": (0..STEPS).map(step).collect::<Vec<_>>(),
        "rootfs": { "type": "layers", "diff_ids": (0..LAYERS).map(layer).collect::<Vec<_>>() },
    })
}

fn manifest(config: &Blob) -> Blob {
    let layer = |layer: usize| {
        let digest = Blob::new("", format!("{} {layer}", config.digest).into_bytes()).digest;
        json!({ "mediaType": OCI_LAYER_GZIP, "digest": digest, "size": 1_000_000 + layer })
    };
    let layers: Vec<Value> = (0..LAYERS).map(layer).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor(), "layers": layers,
    });
    Blob::json(OCI_MANIFEST, &manifest)
}

/// What a lock asks for these images at a registry.
pub(crate) fn requests(host: &str, images: usize) -> Vec<ImageRequest> {
    let platforms: Vec<Platform> =
        ARCHITECTURES.iter().map(|name| Platform::try_from(format!("linux/{name}")).unwrap()).collect();
    let request = |number: usize| {
        let image = format!("{host}/{}:{}", repository(number), tag(number)).parse().unwrap();
        ImageRequest::new([image])
            .platforms(platforms.clone())
            .built_from(CommitId::try_from(commit(number)).unwrap(), RevisionPolicy::Require)
    };
    (0..images).map(request).collect()
}

/// Questions that wait for each other: the tag, which gives the index, manifest, configuration, and the tag again at the end.
pub(crate) const CHAIN: usize = 4;
/// Questions for an image of which nothing is known.
pub(crate) const COLD_QUESTIONS: usize = 2 + 2 * ARCHITECTURES.len();

/// How long requests take that keep all connections busy, when each takes one round trip and nothing else counts.
pub(crate) fn computed(chain: usize, requests: usize, connections: usize, round_trip: Duration) -> Duration {
    round_trip * u32::try_from(chain + requests.div_ceil(connections) - 1).unwrap()
}
