//! Artefacts: what lies in a registry and is no image, such as a lock, a proof, a list of components; and which of them
//! refer to an image ([OCI distribution, listing referrers]).
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//!
//! use lock_model::{Digest, ImageRepository};
//! use registry::Registry;
//! use registry::artifact::Artifact;
//! use registry::layout::Blob;
//!
//! # async fn example(registry: &Registry, image: Digest) -> Result<(), Box<dyn std::error::Error>> {
//! let repository: ImageRepository = "ghcr.io/shop/cart".parse()?;
//! let deadline = Instant::now() + Duration::from_secs(60);
//! let proof = Artifact::new("application/vnd.shop.proof.v1+json")
//!     .blob(Blob::new("application/json", b"{}".to_vec()))
//!     .subject(image.clone());
//! let pushed = registry.push_artifact(&repository, None, &proof, deadline).await?;
//! for referrer in registry.referrers(&repository, &image, None, deadline).await? {
//!     println!("{} {:?}", referrer.digest, referrer.artifact_type);
//! }
//! let pulled = registry.pull_artifact(&repository, &pushed.digest, deadline).await?;
//! assert_eq!(pulled.subject, Some(image));
//! # Ok(())
//! # }
//! ```
//!
//! Everything goes over the same transport as the resolver's questions, with the same logins, rules for redirects and
//! token services, proxies, certificates, limits, retries and deadlines; a layout folder that stands for a host takes and
//! gives artefacts too.
//!
//! Another client of the same registry can be given the login that was found here: see
//! [`Registry::scoped_login`](crate::Registry::scoped_login). The tests do that with the `oci-client` crate, which reads what is written
//! here and the other way round. It is not what sends our requests, since version 0.18 cannot be given an HTTP client: it
//! follows ten redirects and from https to plain HTTP, knows no client certificate, reads answers of any length, sends a
//! password to whatever token service the registry names, takes a refusal for an empty list of referrers, and writes no
//! list where the registry keeps none.
//!
//! # Registries without a list of referrers
//!
//! Where a registry does not keep the list itself, clients keep it, as an index under the tag `sha256-HEX` of the image
//! (the specification's *referrers tag schema*). [`push_artifact`](crate::Registry::push_artifact) reads that index, adds
//! its entry and leaves everything else in it alone. There is no way to do this as one step: the index is compared again
//! right before it is written, and read again afterwards, and when another client was faster all of it is done again.
//! What is left is the moment between the comparison and the write: a client that writes in it, reads its entry back
//! before ours arrives, and then goes away, loses its entry. Clients that share one [`Registry`](crate::Registry) take
//! turns and lose nothing.
//!
//! [OCI distribution, listing referrers]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers

mod content;
mod document;
mod image;

mod layout;
mod pull;
mod push;
mod referrers;
mod scope;
mod store;

pub use content::{Artifact, EMPTY_CONFIG, Part, Pulled, Pushed, Referrer, ReferrersBy};
pub use scope::{Scope, ScopedLogin};
