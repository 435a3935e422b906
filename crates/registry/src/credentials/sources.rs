use std::path::PathBuf;

use super::env_credentials::EnvCredential;
use super::helper::HelperPrograms;

/// Where logins may be; by default nowhere.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CredentialSources {
    /// Logins of environment variables, which beat every file. Where several fit equally well, the first counts.
    pub env: Vec<EnvCredential>,
    /// Files as docker and podman write them. Only the first that exists is read. Usually: the one of
    /// `REGISTRY_AUTH_FILE` alone where that is set, else docker's `config.json`, then podman's `auth.json` of the
    /// runtime folder and of the configuration folder.
    pub files: Vec<PathBuf>,
    /// How the helper programs that a file names are run. Without this none is run.
    pub helpers: Option<HelperPrograms>,
    /// The checkout that is worked on: nothing in it is a source of logins or of programs.
    pub work_tree: Option<PathBuf>,
}
