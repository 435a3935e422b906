//! `orchestrator.yaml`: parsed into nodes that know their place, merged layer by layer, checked, typed.
//!
//! [`Config::parse`] reports every problem at once, each with file, line and column. Nothing here does IO.
//!
//! ```
//! use config::Config;
//!
//! let text = br#"
//! version: 1
//! forge: { kind: local, repository: https://forge.example/shop/shop }
//! images: { repository: "ghcr.io/shop/{short}", tags: ["main-{sha7}"] }
//! services: [{ match: "services/*" }]
//! "#;
//! let config = Config::parse("orchestrator.yaml", text)?;
//! let services = config.assign_services(&["services/cart".try_into()?])?;
//! assert_eq!(services[0].name.as_str(), "cart");
//!
//! let commit = "1111111111111111111111111111111111111111".parse()?;
//! let (repository, tag) = &services[0].candidates(&commit)[0];
//! assert_eq!(format!("{repository}:{tag}"), "ghcr.io/shop/cart:main-1111111");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod against_tree;
mod branches;
mod chart_values;
mod check;
mod cluster_keys;
mod container_suites;
mod decode;
mod decode_environment;
mod environment;
mod environment_keys;
mod health_keys;
mod hosts;
mod image_styles;
mod kubeconfig;
mod layers;
mod load;
mod merge;
mod noise;
mod open_secrets;
mod outdated;
mod parse;
mod patterns;
mod places;
mod policy_relaxation;
mod probes;
mod problem;
mod readiness;
mod references;
mod release_inputs;
mod scalar;
mod schema;
mod schema_keys;
mod schema_shape;
mod schema_variables;
mod secret_variables;
mod service_relaxation;
mod service_rules;
mod settings;
mod show;
mod source_relaxation;
mod string_formats;
mod submodules;
mod suite_relaxation;
mod suites;
mod tree;
mod types;
mod value_sources;
mod values;
mod variables;

pub use against_tree::{SuitesStatus, SuperprojectTree, TreeEntry};
pub use branches::{Branches, Role};
pub use chart_values::ChartValues;
pub use environment::{
    AllowedImage, ApplyTarget, ApprovalFallback, ApprovalRequirement, CheckRule, CheckSeverity, ClusterCheck,
    ClusterChecks, Containers, Deployment, Environment, Excluded, Health, HelmTarget, KustomizationFolder, Migration,
    NamespaceRule, NotDeployed, Promote, ProofRequirement, Release, Removed, RenderTarget, Requires, ServiceSettings,
    Sidecar, SourceFiles, SourceFolder, Target, TestHooks, Wave,
};
pub use image_styles::StyledValues;
pub use kubeconfig::{Kubeconfig, KubeconfigAllow, KubeconfigEncoding, KubeconfigSource, LoginProgram, MachineFile};
pub use lock_model;
pub use noise::{FieldPart, FieldPath, Noise};
pub use patterns::{Pattern, PatternError};
pub use places::{ClusterNamespace, NoPlace, TargetPlace};
pub use policy_relaxation::{ComparedTree, PolicyRelaxation, RelaxationKind, policy_relaxations};
pub use probes::{
    HttpQuestion, Probe, ProbeKind, ProbeLogin, ProbePlace, ProbePlaceError, ServicePort, ServiceProtocol,
    ServiceQuestion,
};
pub use problem::{ConfigErrors, Problem, nearest};
pub use readiness::{AwaitedJobs, GroupKind, Label, NamedObject, ReadyCondition, Tolerance};
pub use release_inputs::{InputCoverage, ReleaseInputs, is_manifest};
pub use schema::config_schema;
pub use service_rules::{AssignedKind, ImageAssignment, ServiceAssignment};
pub use settings::{PullSecret, SettingFormat, SettingOrigin, SettingSource};
pub use show::{ShowOrigin, Shown};
pub use submodules::{AcceptedRef, AllowedSource, PushedPolicy, Submodules};
pub use suites::{CommandLine, CommandSuite, ContainerSuite, ProgramName, Suite, SuiteImage, SuiteKind};
pub use tree::{Origin, Place};
pub use types::{
    ClientCertificate, Config, DirectPush, Forge, ForgeKind, ImageRule, Mirror, Project, RegistrySettings,
    RevisionPolicy, ServiceKind, ServiceRule,
};
pub use values::{
    DurationError, EnvironmentVariable, Mode, Namespace, ObjectName, SourceValue, ValuesPath, is_login, parse_duration,
};
pub use variables::{MissingValue, Template, TemplateError, Values, Variable};
