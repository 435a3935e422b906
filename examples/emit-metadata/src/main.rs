//! Writes `metadata.json` for a build; a microservice's CI runs it after the push of the image.
//!
//! ```console
//! $ emit-metadata cart "$(git rev-parse HEAD)" ghcr.io/shop/cart:main-1111111@sha256:… 1.4.0 openapi.yaml
//! ```

use lock_model::{ImageReference, METADATA_FILE, ServiceMetadata};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, commit, image, version, openapi] = arguments.as_slice() else {
        return Err("usage: emit-metadata NAME COMMIT REPOSITORY:TAG@DIGEST VERSION OPENAPI_FILE".into());
    };
    let image: ImageReference = image.parse()?;
    let metadata = ServiceMetadata::new(name.parse()?, commit.parse()?, image.try_into()?, version.parse()?).api(
        "openapi".parse()?,
        openapi.parse()?,
        &std::fs::read(openapi)?,
    )?;
    std::fs::write(METADATA_FILE, metadata.to_json())?;
    Ok(())
}
