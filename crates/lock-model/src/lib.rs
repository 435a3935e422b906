//! The lock and the service metadata: types, read, write, diff and identity.
