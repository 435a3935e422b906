/// The branches and tags that a commit is on: those that were found with the least work, not necessarily all.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct PushedRefs {
    /// Branches, short names.
    pub branches: Vec<String>,
    /// Tags, short names.
    pub tags: Vec<String>,
}
