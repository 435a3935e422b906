//! `orchestrator.yaml`: read into a tree of nodes that know where they stand, merged, checked, typed.

mod check;
mod classify;
mod cross;
mod decode;
mod decode_environment;
mod environment;
mod format;
mod keys;
mod layers;
mod load;
mod merge;
mod parse;
mod patterns;
mod problem;
mod scalar;
mod schema;
mod shape;
mod show;
mod submodules;
mod tree;
mod types;
mod values;
mod variables;
mod weaken;

pub use classify::{AssignedKind, ImageAssignment, ServiceAssignment};
pub use environment::{
    ApprovalRequirement, Dependency, Deployment, Environment, Excluded, Health, NamespaceRule, NotDeployed, Probe,
    ProbeKind, Promote, ProofRequirement, Release, RenderTarget, Requires, ServiceSettings, Severity, SourceFolder,
    SourceValue, Target,
};
pub use patterns::{Pattern, PatternError};
pub use problem::{ConfigErrors, Problem};
pub use schema::config_schema;
pub use show::{ShowOrigin, Shown};
pub use submodules::{AcceptedRef, AllowedSource, PushedPolicy, Submodules};
pub use tree::{Origin, Place};
pub use types::{
    Branches, ClientCertificate, CommandLine, CommandSuite, Config, DirectPush, Forge, ForgeKind, ImageRule, Mirror,
    ProgramName, Project, RegistrySettings, RevisionPolicy, Role, ServiceKind, ServiceRule, Suite, SuiteKind,
};
pub use values::{EnvironmentVariable, Mode, Namespace, parse_duration};
pub use variables::{MissingValue, Template, TemplateError, Values, Variable};
pub use weaken::{Weakening, WeakeningKind, weakenings};
