//! The rules of the release train, pure: configuration, ledger, gates, approvals, promotion, releases.
