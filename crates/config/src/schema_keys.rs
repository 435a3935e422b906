//! Every key of `orchestrator.yaml`, as data: those of the top level, of images, submodules and suites.

use super::environment_keys::{BASE_LAYER, ENVIRONMENT_LAYER};
use super::schema_shape::Shape::{Boolean, Choice, Integer, Keys, Kinds, List, Named, NonEmptyList, Source, Text};
use super::schema_shape::{Key, Kind, Shape, defaults, kind, later, later_word, optional, required};
use super::schema_variables::{REPOSITORY_VARIABLES, RUN_VARIABLES, TAG_VARIABLES};
use super::string_formats::Format;

/// The whole file.
pub(super) const FILE: Shape = Keys(FILE_KEYS);

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
    required(
        "kind",
        Choice(&[
            ("local", "files in a folder beside a bare repository"),
            later_word("github"),
            later_word("gitlab"),
            later_word("gitea"),
        ]),
        "Which kind it is.",
    ),
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
    optional(
        "plain-http",
        Boolean,
        "Whether it is asked without TLS, so that everything can be read and changed on the way; without the key a registry \
         of this machine is, unless `ca` or `client-certificate` is given.",
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
pub(super) const PEM_KEYS: &[Key] = &[
    optional("env", Text(Format::EnvironmentVariable), "The environment variable that holds it."),
    optional("file", Text(Format::Path), "The file of the superproject that holds it."),
];

/// The keys of a source of secrets: they are in no file of a repository.
pub(super) const SECRET_KEYS: &[Key] =
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

pub(super) const ENVIRONMENT_LIST: Shape = List(&Text(Format::EnvironmentVariable));

pub(super) const COMMAND: Key = required(
    "command",
    NonEmptyList(&Text(Format::Argument(RUN_VARIABLES))),
    "The program and its arguments; `./` in front means a file of the superproject. No shell reads it.",
);

pub(super) const ENV: Key =
    defaults("env", "[]", ENVIRONMENT_LIST, "Environment variables that the program is given, by name.");

pub(super) const PLAIN: Key = optional(
    "plain",
    ENVIRONMENT_LIST,
    "Those of `env` whose value is no secret: it is not masked in what the program prints.",
);

/// Where it runs is a matter of the environment: `containers`.
const CONTAINER_SUITE: &[Key] = &[
    optional("service", Text(Format::ServiceName), "The service whose locked image is run; either this or `image`."),
    optional("image", Text(Format::PinnedImage), "Another image, with its digest."),
    defaults(
        "args",
        "[]",
        List(&Text(Format::Argument(RUN_VARIABLES))),
        "The arguments that the image's program is given in place of the image's own.",
    ),
    defaults(
        "set-env",
        "{}",
        Named(Format::SettingKey, &Text(Format::Template(RUN_VARIABLES))),
        "Environment variables with their values, which are no secrets.",
    ),
    ENV,
    PLAIN,
    optional(
        "service-account",
        Text(Format::ObjectName),
        "The service account of the pod, whose token it is given; by default it is given none.",
    ),
    defaults("resources", "{}", RESOURCES, "What the container asks of its node, and may use there."),
    defaults("deadline", "10m", Text(Format::Duration), "How long it may take, with its start."),
    later("results"),
];

const RESOURCES: Shape = Keys(&[
    defaults("requests", "{}", RESOURCE_LIST, "What the node must have free for it."),
    defaults("limits", "{}", RESOURCE_LIST, "What it may use at most."),
]);

const RESOURCE_LIST: Shape = Keys(&[
    optional("cpu", Text(Format::Quantity), "Processors, such as `\"2\"` or `500m`."),
    optional("memory", Text(Format::Quantity), "Bytes, such as `512Mi`."),
    optional("ephemeral-storage", Text(Format::Quantity), "Bytes on the node's disk, such as `1Gi`."),
]);

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
    kind("container", "An image that is run beside what it tests, and exits with 0.", CONTAINER_SUITE),
];
