//! The keys of an environment that concern its cluster, as data.

use super::schema_keys::{ENVIRONMENT_LIST, SECRET_KEYS};
use super::schema_shape::Shape::{Boolean, Choice, Integer, Keys, List, Named, NonEmptyList, ShortForm, Source, Text};
use super::schema_shape::{Key, Shape, defaults, optional, required};
use super::schema_variables::{SERVICE_VARIABLES, SET_VARIABLES};
use super::string_formats::Format;

/// What a kubeconfig may ask for.
const ALLOW: Shape = Keys(&[
    defaults(
        "exec",
        "[]",
        List(&Text(Format::LoginProgram)),
        "Programs by which its user may log in, as the kubeconfig names them: on the search path, or an absolute path.",
    ),
    defaults(
        "variables",
        "[]",
        ENVIRONMENT_LIST,
        "Environment variables that such a program is given, of the job or of the kubeconfig.",
    ),
    defaults("proxy-url", "[]", List(&Text(Format::Address)), "Proxies that it may name, by their addresses."),
    defaults(
        "insecure-skip-tls-verify",
        "false",
        Boolean,
        "Whether it may leave the certificate of the server unchecked.",
    ),
]);

/// Where the cluster of an environment is.
pub(super) const KUBECONFIG: Shape = Keys(&[
    optional(
        "env",
        Text(Format::EnvironmentVariable),
        "The environment variable that holds the kubeconfig; either this or `file`.",
    ),
    optional(
        "file",
        Text(Format::MachineFile),
        "The file of the machine that holds it, such as `~/.kube/config`; no other user can read or write it.",
    ),
    defaults(
        "encoding",
        "text",
        Choice(&[("text", "it is the kubeconfig itself"), ("base64", "it is the kubeconfig in base64")]),
        "What `env` holds.",
    ),
    optional("context", Text(Format::Sentence), "The context; by default the kubeconfig's current one."),
    optional("allow", ALLOW, "What it may ask for besides a direct, encrypted connection; by default nothing."),
]);

/// Keys with their values, which services read.
pub(super) const SETTING_SOURCES: Shape = List(&Keys(&[
    optional(
        "env",
        Text(Format::Template(SERVICE_VARIABLES)),
        "The environment variable that holds them, such as `{NAME}_CONFIG`.",
    ),
    optional("file", Text(Format::Template(SERVICE_VARIABLES)), "The file of the superproject that holds them."),
    optional(
        "command",
        NonEmptyList(&Text(Format::Argument(SERVICE_VARIABLES))),
        "The program that prints them, and its arguments; `./` in front means a file of the superproject.",
    ),
    optional(
        "keys-from-env",
        NonEmptyList(&Text(Format::EnvironmentVariable)),
        "Environment variables that are settings themselves.",
    ),
    optional("set", Named(Format::SettingKey, &Text(Format::Template(SET_VARIABLES))), "Settings with their values."),
    optional(
        "format",
        Choice(&[
            ("kubectl-env-file", "what `kubectl create --from-env-file` reads: quotes belong to the value"),
            ("dotenv", "lines `KEY=VALUE` with quotes and comments"),
            ("yaml", "a map"),
            ("json", "a map"),
        ]),
        "What `env`, `file` or `command` gives.",
    ),
    defaults("variables", "[]", ENVIRONMENT_LIST, "Environment variables that the program is given, by name."),
    defaults(
        "files",
        "[]",
        List(&Text(Format::Path)),
        "Files of the superproject that the program needs besides itself.",
    ),
    defaults(
        "replace",
        "false",
        Boolean,
        "Whether keys of earlier sources are replaced; otherwise a key twice is an error.",
    ),
]));

pub(super) const PULL_SECRET: Shape = Keys(&[
    required("name", Text(Format::ObjectName), "Name of the Secret: `{pull-secret}` in values of charts."),
    required("registry", Text(Format::RegistryHost), "The registry's host."),
    required("username", Source(SECRET_KEYS), "The user's name."),
    required("password", Source(SECRET_KEYS), "The password or token; it must live on after the job."),
]);

/// What makes objects of a kind ready that Kubernetes does not know.
pub(super) const READY: Shape = Named(
    Format::GroupKind,
    &Keys(&[
        required("condition", Text(Format::Sentence), "The type of the condition, as in `Synced`."),
        defaults("value", "\"True\"", Text(Format::Sentence), "The status that it has to have."),
    ]),
);

/// What a wait takes for a disturbance that passes.
pub(super) const TOLERANCE: Shape = Keys(&[
    defaults(
        "restarts",
        "2",
        Integer { least: 0, most: 100 },
        "A container that ended again after this many restarts is not waited for any longer.",
    ),
    defaults(
        "room",
        "90s",
        Text(Format::Duration),
        "How long a pod may find no node, or no room in a quota, before it is not waited for any longer.",
    ),
    optional(
        "silence",
        Text(Format::Duration),
        "How long nothing may change about what is waited for; without it the deadline of the run decides.",
    ),
]);

pub(super) const AWAIT_JOBS: Shape = Keys(&[
    required(
        "label",
        Text(Format::ObjectLabel),
        "The label that they have, such as `app.kubernetes.io/component=migration`.",
    ),
    defaults(
        "deadline",
        "5m",
        Text(Format::Duration),
        "How long they may take once the objects of the service are ready.",
    ),
]);

pub(super) const CHECK_SEVERITY: Shape = Choice(&[
    ("block", "a finding stops the deployment"),
    ("warn", "a finding is a warning"),
    ("off", "it is not asked"),
]);

const fn check_keys(severity: &'static str) -> [Key; 3] {
    [
        defaults("severity", severity, CHECK_SEVERITY, "What a finding means."),
        optional("deadline", Text(Format::Duration), "How long each answer may take; by default `checks.deadline`."),
        optional(
            "retries",
            Integer { least: 0, most: 20 },
            "How often it is asked again, a second later, before a finding counts; by default `checks.retries`.",
        ),
    ]
}

const BLOCKING: Shape = ShortForm(&check_keys("block"));
const WARNING: Shape = ShortForm(&check_keys("warn"));

/// What a cluster is asked. What could not be found out is a finding.
pub(super) const CLUSTER_CHECKS: &[Key] = &[
    defaults("api", "block", BLOCKING, "Whether the API server is ready, and of a version that is supported."),
    defaults("namespace", "block", BLOCKING, "Whether the namespace is there, not ending, and this environment's."),
    defaults("permissions", "block", BLOCKING, "Whether the kubeconfig's user may do everything that is planned."),
    defaults("references", "block", BLOCKING, "Whether every object that a planned one names is there or planned."),
    defaults("quota", "block", BLOCKING, "Whether the quotas have room for the deployment at its highest moment."),
    defaults("replicas", "warn", WARNING, "Whether no workload was scaled to 0 that is to have replicas."),
    defaults("nodes", "warn", WARNING, "Whether the nodes are ready, schedulable and without pressure."),
    defaults("capacity", "warn", WARNING, "Whether the nodes have room for the pods that come."),
    defaults("certificate", "warn", WARNING, "Whether the kubeconfig's certificate or token lives a week longer."),
    defaults("clock", "warn", WARNING, "Whether the clocks here and there agree within 30 seconds."),
    defaults("ready-nodes", "100", Integer { least: 1, most: 100 }, "How many percent of the nodes `nodes` asks for."),
    defaults(
        "deadline",
        "30s",
        Text(Format::Duration),
        "How long each answer may take, where a check does not say it.",
    ),
    defaults(
        "retries",
        "0",
        Integer { least: 0, most: 20 },
        "How often each is asked again, where a check does not say it.",
    ),
];
