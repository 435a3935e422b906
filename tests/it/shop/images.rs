//! Images of the shop's services in the layout folder that is their registry.

use std::fs;
use std::path::PathBuf;

use lock_model::Digest;
use serde_json::{Value, json};

use super::{Shop, short};

impl Shop {
    /// Puts an image into the registry's folder, tagged by one commit, that says it was built from another; gives its
    /// digest. A tag that exists moves.
    pub(crate) fn build_image(&self, name: &str, tagged: &str, revision: &str) -> String {
        self.build_with(name, tagged, &json!({ "org.opencontainers.image.revision": revision }))
    }

    /// Builds the same commit once more: the tag moves to an image with another digest.
    pub(crate) fn rebuild_image(&self, name: &str, commit: &str) -> String {
        self.build_with(name, commit, &json!({ "org.opencontainers.image.revision": commit, "build": "again" }))
    }

    /// The same without a word about its commit.
    pub(crate) fn build_unlabelled(&self, name: &str, tagged: &str) -> String {
        self.build_with(name, tagged, &json!({}))
    }

    fn build_with(&self, name: &str, tagged: &str, labels: &Value) -> String {
        let reference = format!("registry.example/shop/{}:main-{}", short(name), &tagged[..7]);
        Layout { folder: self.join("registry") }.add(&reference, labels)
    }
}

/// An OCI image layout, written by hand.
struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Adds an image for one platform under a full reference; gives its digest.
    fn add(&self, reference: &str, labels: &Value) -> String {
        // An empty tar archive: two blocks of zeros.
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", &[0; 1024]);
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            json!({
                "architecture": "amd64",
                "config": { "Labels": labels },
                "created": "2025-11-20T21:14:07Z",
                "os": "linux",
                "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
            })
            .to_string()
            .as_bytes(),
        );
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = self.blob(
            media_type,
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] })
                .to_string()
                .as_bytes(),
        );
        let digest = manifest["digest"].as_str().expect("it was just made").to_owned();
        self.set(reference, manifest);
        digest
    }

    /// Points a reference to a manifest.
    fn set(&self, reference: &str, mut manifest: Value) {
        const NAME: &str = "org.opencontainers.image.ref.name";
        let path = self.folder.join("index.json");
        let mut entries: Vec<Value> = fs::read(&path).map_or_else(
            |_| Vec::new(),
            |bytes| {
                let index: Value = serde_json::from_slice(&bytes).expect("we wrote it");
                index["manifests"].as_array().expect("we wrote it").clone()
            },
        );
        entries.retain(|entry| entry["annotations"][NAME] != *reference);
        manifest["annotations"] = json!({ NAME: reference });
        entries.push(manifest);
        fs::write(self.folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the layout is ours");
        // Beside and renamed: a copy of the shop may share the old file.
        let beside = path.with_extension("new");
        fs::write(&beside, json!({ "schemaVersion": 2, "manifests": entries }).to_string())
            .expect("the layout is ours");
        fs::rename(&beside, &path).expect("the layout is ours");
    }

    /// Stores a blob; gives its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let folder = self.folder.join("blobs/sha256");
        fs::create_dir_all(&folder).expect("the layout's folders can be made");
        let path = folder.join(digest.hex());
        // Never written twice: a copy of the shop may share it.
        if !path.exists() {
            fs::write(path, bytes).expect("the blob can be written");
        }
        json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
    }
}
