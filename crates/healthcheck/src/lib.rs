//! Probes and checks that say whether an environment can take a deployment.
