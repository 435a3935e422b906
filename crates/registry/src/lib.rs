//! Resolves image references to digests, platforms and labels, from a registry or an OCI layout folder.
