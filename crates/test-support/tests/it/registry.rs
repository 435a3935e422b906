use std::fs;
use std::path::Path;

use test_support::{DockerRegistry, Sandbox, Skopeo};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// sha256 of the manifest below, made with sha256sum.
pub(crate) const MANIFEST: &str = "09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707";

#[test]
fn an_image_goes_into_a_real_registry_and_keeps_its_digest() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let sandbox = Sandbox::new();
    let manifest = write_layout(&sandbox.join("layout"));
    skopeo.push_layout(&sandbox.join("layout"), "registry.example/shop/cart:main-1", &registry, "shop/cart:main-1");

    assert_eq!(skopeo.manifest(&registry, "shop/cart:main-1"), manifest.as_bytes());
    assert_eq!(skopeo.digest(&registry, "shop/cart:main-1"), format!("sha256:{MANIFEST}"));
    assert!(registry.storage().join("docker/registry/v2/repositories/shop/cart").is_dir());
    assert_eq!(registry.url(), format!("http://{}", registry.address()));
}

/// Writes a layout folder with one image, and gives the image's manifest.
pub(crate) fn write_layout(layout: &Path) -> String {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config_digest = "c5b1d63604f273462ef36fadac3182d43ae6a6138731cf594b314835cf1c034f";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{config_digest}","size":{}}},"layers":[]}}"#,
        config.len()
    );
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST_TYPE}","digest":"sha256:{MANIFEST}","size":{},"annotations":{{"org.opencontainers.image.ref.name":"registry.example/shop/cart:main-1"}}}}]}}"#,
        manifest.len()
    );
    fs::write(blobs.join(config_digest), config).unwrap();
    fs::write(blobs.join(MANIFEST), &manifest).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(layout.join("index.json"), index).unwrap();
    manifest
}
