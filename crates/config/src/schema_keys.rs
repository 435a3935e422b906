//! Every key of `orchestrator.yaml`, as data.

use super::schema_shape::Shape::{
    Boolean, Choice, Integer, Keys, Kinds, List, Named, NonEmptyList, ShortForm, Source, Text, Tree,
};
use super::schema_shape::{Key, Kind, Shape, defaults, kind, later, later_kind, optional, required};
use super::string_formats::Format;
use crate::variables::Variable;

/// Variables of `images.repository`.
pub(super) const REPOSITORY_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
];
/// Variables of `images.tags`.
pub(super) const TAG_VARIABLES: &[Variable] =
    &[Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Sha, Variable::Sha7, Variable::Sha12];
/// Variables of `target.source`.
pub(super) const SOURCE_VARIABLES: &[Variable] =
    &[Variable::Name, Variable::Short, Variable::ShortUnderscore, Variable::Path, Variable::Mode];
/// Variables of where settings come from.
pub(super) const SERVICE_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
];
/// Variables of settings that are composed.
pub(super) const SET_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
    Variable::Environment,
];
/// Variables of `target.values`.
pub(super) const VALUE_VARIABLES: &[Variable] = &[
    Variable::Name,
    Variable::Short,
    Variable::ShortUnderscore,
    Variable::NameUpper,
    Variable::ShortUpper,
    Variable::Path,
    Variable::Mode,
    Variable::ImageRegistry,
    Variable::ImagePath,
    Variable::ImageRepository,
    Variable::ImageTag,
    Variable::ImageDigest,
    Variable::ImageReference,
    Variable::ImageOf,
    Variable::Config,
    Variable::Secret,
    Variable::PullSecret,
];
/// Variables of `target.image-values`.
pub(super) const IMAGE_VALUE_VARIABLES: &[Variable] = &[
    Variable::ImageRegistry,
    Variable::ImagePath,
    Variable::ImageRepository,
    Variable::ImageTag,
    Variable::ImageDigest,
    Variable::ImageReference,
];
/// Variables of what runs against an environment.
pub(super) const RUN_VARIABLES: &[Variable] = &[Variable::Url, Variable::Mode];
/// Variables of what is fixed for an environment.
pub(super) const MODE_VARIABLES: &[Variable] = &[Variable::Mode];
/// Variables of `release.tag`.
pub(super) const RELEASE_TAG_VARIABLES: &[Variable] = &[Variable::Date, Variable::Id8, Variable::Mode];

/// The whole file.
pub(super) const FILE: Shape = Keys(FILE_KEYS);

/// One environment, without `base` and `overrides`: what a layer can say.
pub(super) const ENVIRONMENT: Shape = Keys(ENVIRONMENT_KEYS);

/// `base:` and every entry of `environments:`, as they stand in the file.
pub(super) const BASE_LAYER: Shape = Keys(&joined::<31, 1, 32>(ENVIRONMENT_KEYS, &[OVERRIDES]));
const ENVIRONMENT_LAYER: Shape = Keys(&joined::<31, 2, 33>(
    ENVIRONMENT_KEYS,
    &[OVERRIDES, optional("base", Choice(&[("none", "nothing is taken from `base:`")]), "`none` leaves `base:` out.")],
));

/// `services[]`, laid over `images:`.
pub(super) const SERVICE_RULE: Shape = Keys(SERVICE_RULE_KEYS);

const FILE_KEYS: &[Key] = &[
    required("version", Integer { least: 1, most: 1 }, "Version of this file's format: 1."),
    defaults("project", "{}", Keys(PROJECT), "What the services have in common."),
    defaults("branches", "{}", Keys(BRANCHES), "Which branch plays which role."),
    optional(
        "forge",
        Keys(FORGE),
        "Where pull requests and reviews are; without it locks are made and judged, not published.",
    ),
    defaults("registries", "{}", Named(Format::RegistryHost, &Keys(REGISTRY)), "Settings by registry host."),
    defaults("images", "{}", Keys(IMAGES), "How a service's image is found."),
    defaults(
        "services",
        "[]",
        List(&SERVICE_RULE),
        "Rules for the submodules: the first that matches decides; a submodule that none matches is an error.",
    ),
    defaults("submodules", "{}", Keys(SUBMODULES), "Where submodules may come from."),
    defaults(
        "suites",
        "{}",
        Named(Format::SuiteName, &Kinds(SUITE_KINDS)),
        "What can be run against an environment, by name.",
    ),
    optional("base", BASE_LAYER, "What every environment starts from."),
    defaults(
        "environments",
        "{}",
        Named(Format::EnvironmentName, &ENVIRONMENT_LAYER),
        "The environments, by name: each is laid over `base:`.",
    ),
    later("third-party"),
    later("databases"),
];

const PROJECT: &[Key] =
    &[defaults("prefix", "\"\"", Text(Format::Prefix), "What `{short}` leaves out of a service's name.")];

const BRANCHES: &[Key] = &[
    defaults("integration", "dev", Text(Format::Branch), "The branch that developers merge into."),
    defaults("staging", "staging", Text(Format::Branch), "The branch that staging deploys."),
    defaults("production", "main", Text(Format::Branch), "The branch that production deploys."),
];

const FORGE: &[Key] = &[
    required("kind", Choice(&[("local", "files in a folder beside a bare repository")]), "Which kind it is."),
    required(
        "repository",
        Text(Format::RepositoryUrl),
        "The superproject's address, as locks write it; relative submodule URLs resolve against it.",
    ),
    defaults(
        "direct-push",
        "refuse",
        Choice(&[
            ("refuse", "a commit without a pull request gets no lock"),
            ("relock", "it gets a new lock, recorded as unreviewed"),
        ]),
        "What becomes of a commit that came without a pull request.",
    ),
];

const REGISTRY: &[Key] = &[
    optional(
        "mirror",
        Text(Format::Mirror),
        "Where requests go instead, `oci-layout:DIR` or an address; locks keep the real name.",
    ),
    defaults(
        "plain-http",
        "false",
        Boolean,
        "Whether it is asked without TLS although it is another machine: everything can be read and changed on the way.",
    ),
    optional(
        "ca",
        Source(PEM_KEYS),
        "Certificates of authorities, in PEM, that are trusted for it beside the machine's own.",
    ),
    optional(
        "client-certificate",
        Keys(&[
            required("certificate", Source(PEM_KEYS), "The certificate that is shown to it, in PEM."),
            required("key", Source(SECRET_KEYS), "The key of that certificate, in PEM."),
        ]),
        "The certificate that is presented to it.",
    ),
];

/// The keys of a source of certificates, which never stand in the file itself.
const PEM_KEYS: &[Key] = &[
    optional("env", Text(Format::EnvironmentVariable), "The environment variable that holds it."),
    optional("file", Text(Format::Path), "The file of the superproject that holds it."),
];

/// The keys of a source of secrets: they are in no file of a repository.
const SECRET_KEYS: &[Key] =
    &[optional("env", Text(Format::EnvironmentVariable), "The environment variable that holds it.")];

const REVISION: Shape = Choice(&[
    ("require", "an image that does not name the locked commit is refused"),
    ("warn", "it is locked with a warning"),
    ("off", "the label is not looked at"),
]);

const REPOSITORY_KEY: Key = optional(
    "repository",
    Text(Format::Template(REPOSITORY_VARIABLES)),
    "The repository with its host, such as `ghcr.io/shop/{short}`.",
);
const TAGS: Shape = NonEmptyList(&Text(Format::Template(TAG_VARIABLES)));
const PLATFORMS: Shape = NonEmptyList(&Text(Format::Platform));

const IMAGES: &[Key] = &[
    REPOSITORY_KEY,
    optional("tags", TAGS, "The tags to look for, the first that exists is taken, such as `main-{sha7}`."),
    defaults("platforms", "[linux/amd64]", PLATFORMS, "The platforms that each image must have."),
    defaults("revision", "require", REVISION, "What is asked of an image's revision label."),
];

const SERVICE_RULE_KEYS: &[Key] = &[
    required("match", Text(Format::Pattern), "Which submodules are meant: a pattern of paths, or a name."),
    optional("name", Text(Format::ServiceName), "The name, where it is not the last segment of the path."),
    defaults(
        "kind",
        "image",
        Choice(&[("image", "it has an image"), ("configuration", "it consists of files only")]),
        "What a service consists of.",
    ),
    REPOSITORY_KEY,
    optional("tags", TAGS, "In place of `images.tags`."),
    optional("platforms", PLATFORMS, "In place of `images.platforms`."),
    optional("revision", REVISION, "In place of `images.revision`."),
];

const SUBMODULES: &[Key] = &[
    optional(
        "allow",
        NonEmptyList(&Text(Format::AllowedSource)),
        "The hosts, owners or repositories that submodules may come from, such as `github.com/shop`; by default they may come from everywhere, but none may change its owner.",
    ),
    optional(
        "branches",
        NonEmptyList(&Text(Format::AcceptedRef)),
        "The branches, or tags such as `refs/tags/v*`, on one of which a locked commit must be; by default any.",
    ),
    defaults(
        "pushed",
        "\"off\"",
        Choice(&[
            ("require", "making a lock asks the remotes whether each commit is on a branch"),
            ("off", "the remotes are asked only with `--check-pushed`"),
        ]),
        "Whether the commits of submodules must be pushed.",
    ),
];

const ENVIRONMENT_LIST: Shape = List(&Text(Format::EnvironmentVariable));

const COMMAND: Key = required(
    "command",
    NonEmptyList(&Text(Format::Argument(RUN_VARIABLES))),
    "The program and its arguments; `./` in front means a file of the superproject. No shell reads it.",
);

const ENV: Key = defaults("env", "[]", ENVIRONMENT_LIST, "Environment variables that the program is given, by name.");

const PLAIN: Key = optional(
    "plain",
    ENVIRONMENT_LIST,
    "Those of `env` whose value is no secret: it is not masked in what the program prints.",
);

const SUITE_KINDS: &[Kind] = &[
    kind(
        "command",
        "A program that exits with 0.",
        &[
            COMMAND,
            ENV,
            PLAIN,
            defaults(
                "files",
                "[]",
                List(&Text(Format::Path)),
                "Files of the superproject that the program needs besides itself.",
            ),
            defaults("deadline", "10m", Text(Format::Duration), "How long it may take."),
        ],
    ),
    kind(
        "http",
        "A file of requests and what their answers must be.",
        &[
            required("file", Text(Format::Path), "The file, in the superproject."),
            defaults("deadline", "5m", Text(Format::Duration), "How long it may take."),
        ],
    ),
];

const OVERRIDES: Key = optional(
    "overrides",
    List(&Keys(&[
        required("match", Text(Format::Pattern), "Which services are meant."),
        optional("target", TARGET, "What is different in their target."),
        optional("namespaces", NAMESPACES, "What is different in their namespaces."),
        optional(
            "config",
            SETTING_SOURCES,
            "Where their configuration comes from, in place of the environment's list.",
        ),
        optional("secret", SETTING_SOURCES, "Where their secrets come from, in place of the environment's list."),
        later("await-jobs"),
    ])),
    "What is different for some services: all that match, in file order.",
);

const TARGET: Shape = Kinds(&[
    kind(
        "render",
        "Pinned manifests are written to a branch, and to a folder.",
        &[
            required(
                "source",
                Text(Format::Template(SOURCE_VARIABLES)),
                "Folder of a service's manifests, such as `{path}/deploy`.",
            ),
            required("branch", Text(Format::Template(MODE_VARIABLES)), "The branch that they are written to."),
            optional(
                "folder",
                Text(Format::Template(MODE_VARIABLES)),
                "A folder below the superproject's top folder that they are written to as well.",
            ),
        ],
    ),
    kind(
        "helm",
        "Charts are installed in a cluster, a helm release for each service.",
        &[
            required(
                "chart",
                Text(Format::Template(SOURCE_VARIABLES)),
                "Folder of a service's chart, such as `{path}/chart`.",
            ),
            optional("values", Tree(VALUE_VARIABLES), "What the chart is given besides its own `values.yaml`."),
            optional(
                "image-values",
                Named(Format::ValuesPath, &Text(Format::Template(IMAGE_VALUE_VARIABLES))),
                "Where the chart takes the locked image from; by default `image.repository` and `image.tag`.",
            ),
            later("test-hooks"),
        ],
    ),
    kind(
        "apply",
        "Plain manifests are applied in a cluster, and what a service no longer has is removed.",
        &[required(
            "source",
            Text(Format::Template(SOURCE_VARIABLES)),
            "Folder of a service's manifests, such as `{path}/deploy`.",
        )],
    ),
    later_kind("compose"),
]);

/// Where the cluster of an environment is.
const KUBECONFIG: Shape = Keys(&[
    required("env", Text(Format::EnvironmentVariable), "The environment variable that holds the kubeconfig."),
    defaults(
        "encoding",
        "text",
        Choice(&[("text", "it is the kubeconfig itself"), ("base64", "it is the kubeconfig in base64")]),
        "What the variable holds.",
    ),
    optional("context", Text(Format::Sentence), "The context; by default the kubeconfig's current one."),
    later("file"),
]);

/// Keys with their values, which services read.
const SETTING_SOURCES: Shape = List(&Keys(&[
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

const PULL_SECRET: Shape = Keys(&[
    required("name", Text(Format::Namespace), "Name of the Secret: `{pull-secret}` in values of charts."),
    required("registry", Text(Format::RegistryHost), "The registry's host."),
    required("username", Source(SECRET_KEYS), "The user's name."),
    required("password", Source(SECRET_KEYS), "The password or token; it must live on after the job."),
]);

const NAMESPACES: Shape = Keys(&[
    defaults("allow", "[]", List(&Text(Format::Namespace)), "Other namespaces that objects may name."),
    defaults("rewrite", "false", Boolean, "Whether a foreign namespace is replaced by the environment's."),
]);

const PROBE_COMMON: [Key; 3] = [
    defaults(
        "severity",
        "block",
        Choice(&[("block", "a failure stops the deployment"), ("warn", "a failure is a warning")]),
        "What a failure means.",
    ),
    defaults("deadline", "10s", Text(Format::Duration), "How long the answer may take."),
    defaults(
        "retries",
        "0",
        Integer { least: 0, most: 20 },
        "How often it is asked again, a second later, before a failure counts.",
    ),
];

const CHECK_SEVERITY: Shape = Choice(&[
    ("block", "a finding stops the deployment"),
    ("warn", "a finding is a warning"),
    ("off", "it is not asked"),
]);

/// What a cluster is asked. What could not be found out is a finding.
const CLUSTER_CHECKS: &[Key] = &[
    defaults("api", "block", CHECK_SEVERITY, "Whether the API server is ready, and of a version that is supported."),
    defaults(
        "namespace",
        "block",
        CHECK_SEVERITY,
        "Whether the namespace is there, not ending, and this environment's.",
    ),
    defaults(
        "permissions",
        "block",
        CHECK_SEVERITY,
        "Whether the kubeconfig's user may do everything that is planned.",
    ),
    defaults(
        "references",
        "block",
        CHECK_SEVERITY,
        "Whether every object that a planned one names is there or planned.",
    ),
    defaults(
        "quota",
        "block",
        CHECK_SEVERITY,
        "Whether the quotas have room for the deployment at its highest moment.",
    ),
    defaults("nodes", "warn", CHECK_SEVERITY, "Whether the nodes are ready, schedulable and without pressure."),
    defaults("capacity", "warn", CHECK_SEVERITY, "Whether the nodes have room for the pods that come."),
    defaults(
        "certificate",
        "warn",
        CHECK_SEVERITY,
        "Whether the kubeconfig's certificate or token lives a week longer.",
    ),
    defaults("clock", "warn", CHECK_SEVERITY, "Whether the clocks here and there agree within 30 seconds."),
    defaults("ready-nodes", "100", Integer { least: 1, most: 100 }, "How many percent of the nodes `nodes` asks for."),
    defaults("deadline", "30s", Text(Format::Duration), "How long each of them may take, with retries."),
];

const PROBE_KINDS: &[Kind] = &[
    kind(
        "http",
        "A GET request answered with a status.",
        &joined::<2, 3, 5>(
            &[
                required("url", Text(Format::Template(RUN_VARIABLES)), "The address, such as `{url}/healthz`."),
                defaults("status", "200", Integer { least: 100, most: 599 }, "The status that means healthy."),
            ],
            &PROBE_COMMON,
        ),
    ),
    kind(
        "tcp",
        "A connection that is accepted.",
        &joined::<1, 3, 4>(&[required("address", Text(Format::HostPort), "`HOST:PORT`.")], &PROBE_COMMON),
    ),
    kind("command", "A program that exits with 0.", &joined::<3, 3, 6>(&[COMMAND, ENV, PLAIN], &PROBE_COMMON)),
];

/// The keys of a source.
pub(super) const SOURCE_KEYS: &[Key] = &[
    optional("value", Text(Format::Address), "The value itself."),
    optional("env", Text(Format::EnvironmentVariable), "The environment variable that holds it."),
    optional("file", Text(Format::Path), "The file of the superproject that holds it."),
];

const ENVIRONMENT_KEYS: &[Key] = &[
    optional(
        "branch",
        Choice(&[
            ("integration", "`branches.integration`"),
            ("staging", "`branches.staging`"),
            ("production", "`branches.production`"),
        ]),
        "The role whose branch it runs; by default the role of the same name.",
    ),
    optional("mode", Text(Format::Mode), "What suites and templates call it; by default its name."),
    optional("namespace", Text(Format::Namespace), "Where its objects live."),
    optional("url", Source(SOURCE_KEYS), "Its address: `{url}` in templates."),
    optional("kubeconfig", KUBECONFIG, "How its cluster is reached, where the target is one."),
    optional("target", TARGET, "How it is deployed to."),
    optional(
        "conflicts",
        Keys(&[required(
            "take",
            NonEmptyList(&Text(Format::Sentence)),
            "Field managers, as `metadata.managedFields` names them.",
        )]),
        "Which fields of other managers target `apply` takes over; others refuse the deployment.",
    ),
    defaults("deploy", "[]", List(&Text(Format::Pattern)), "Which services are deployed."),
    optional(
        "locked-only",
        Keys(&[required("reason", Text(Format::Sentence), "Why.")]),
        "Why services that `deploy` does not name are locked but not deployed.",
    ),
    defaults(
        "not-deployed",
        "{}",
        Named(
            Format::ServiceName,
            &Keys(&[
                required("reason", Text(Format::Sentence), "Why."),
                required("owner", Text(Format::Sentence), "Who decided it."),
                required("until", Text(Format::Date), "The last day on which it holds, in quotes."),
            ]),
        ),
        "Services that are left out for a time.",
    ),
    defaults(
        "unpinned-images",
        "{}",
        Named(
            Format::UnpinnedImage,
            &Keys(&[
                required("reason", Text(Format::Sentence), "Why."),
                required("owner", Text(Format::Sentence), "Who decided it."),
                required("until", Text(Format::Date), "The last day on which it holds, in quotes."),
            ]),
        ),
        "Images that may be deployed although neither the lock nor a digest decides them, as the manifests write them.",
    ),
    defaults("namespaces", "{}", NAMESPACES, "Namespaces other than the environment's own."),
    defaults(
        "health",
        "{}",
        Keys(&[
            defaults("probes", "{}", Named(Format::Label, &Kinds(PROBE_KINDS)), "Probes, by name."),
            defaults(
                "dependencies",
                "{}",
                Named(Format::Label, &Text(Format::Dependency(RUN_VARIABLES))),
                "What the environment depends on: addresses, by name.",
            ),
            defaults(
                "checks",
                "{}",
                Keys(CLUSTER_CHECKS),
                "What the cluster of the environment is asked, and what a finding means.",
            ),
        ]),
        "What is asked before anything is changed.",
    ),
    defaults("suites", "[]", List(&Text(Format::SuiteName)), "Suites to run, in this order."),
    optional(
        "promote",
        Keys(&[required("to", Text(Format::EnvironmentName), "The next environment.")]),
        "Where a proven release goes next.",
    ),
    defaults("requires", "{}", Keys(REQUIRES), "What a release must show before it comes here."),
    optional(
        "release",
        Keys(&[required(
            "tag",
            Text(Format::Template(RELEASE_TAG_VARIABLES)),
            "The tag, such as `release-{date}-{id8}`.",
        )]),
        "How releases are tagged.",
    ),
    defaults("config", "[]", SETTING_SOURCES, "Where the configuration of each service comes from, in order."),
    defaults("secret", "[]", SETTING_SOURCES, "Where the secrets of each service come from, in order."),
    optional("pull-secret", PULL_SECRET, "The login by which the cluster pulls images."),
    later("await-jobs"),
    defaults(
        "migrations",
        "[]",
        List(&Keys(&[
            required("match", Text(Format::Pattern), "Which services change stored data when they are deployed."),
            defaults(
                "irreversible",
                "false",
                Boolean,
                "Whether code from before the change cannot work with the data: a rollback behind it is refused.",
            ),
        ])),
        "Services whose new versions change stored data.",
    ),
    later("ready"),
    later("removed"),
    defaults(
        "waves",
        "[]",
        List(&ShortForm(
            Format::Pattern,
            &[
                required(
                    "match",
                    Text(Format::Pattern),
                    "Which services belong to it; the last entry that matches decides.",
                ),
                defaults("at-once", "4", Integer { least: 1, most: 64 }, "How many services are changed at a time."),
                optional(
                    "pause",
                    Text(Format::Duration),
                    "How long to wait once it is ready, before the next one; by default not at all.",
                ),
            ],
        )),
        "The order in which services are deployed: each wave is ready before the next one begins.",
    ),
    later("containers"),
    later("stack"),
    later("third-party"),
    later("databases"),
    later("sleep"),
    later("adopt"),
];

const REQUIRES: &[Key] = &[
    optional("proven-in", Text(Format::EnvironmentName), "The environment that must have proven the same release."),
    optional(
        "pull-request",
        Text(Format::EnvironmentName),
        "The environment whose suites a pull request must pass; where locks are committed.",
    ),
    defaults(
        "proof",
        "stored",
        Choice(&[("stored", "what was written is what is locked"), ("running", "what runs is what is locked")]),
        "How strong a proof must be.",
    ),
    optional(
        "approvals",
        Keys(&[
            required("count", Integer { least: 0, most: 100 }, "How many people must approve."),
            defaults(
                "exclude",
                "[author]",
                List(&Choice(&[
                    ("author", "who opened the pull request, or one that it carries"),
                    ("merger", "who merged a pull request that it carries"),
                    ("committer", "whose mail stands in a commit that it carries"),
                ])),
                "Whose do not count; authors never do.",
            ),
            optional(
                "fallback",
                Keys(&[
                    required("count", Integer { least: 1, most: 99 }, "How many people must approve then."),
                    required("owner", Text(Format::Sentence), "Who decided it."),
                    required("reason", Text(Format::Sentence), "Why."),
                    required("until", Text(Format::Date), "The last day on which it applies, in quotes."),
                ]),
                "What applies where fewer people than `count` are left.",
            ),
        ]),
        "The approvals that the promotion needs.",
    ),
];

/// Keys of two lists in one; `N` = `A` + `B`.
const fn joined<const A: usize, const B: usize, const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    assert!(first.len() == A && second.len() == B && A + B == N, "the lengths are those of the lists");
    let mut all = [first[0]; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < A { first[index] } else { second[index - A] };
        index += 1;
    }
    all
}
