//! The keys of an environment, as data.

use super::cluster_keys::{AWAIT_JOBS, KUBECONFIG, PULL_SECRET, READY, SETTING_SOURCES, TOLERANCE};
use super::health_keys::HEALTH;
use super::schema_shape::Shape::{
    Boolean, Choice, Integer, Keys, Kinds, List, Named, NonEmptyList, ShortForm, Source, Text, Tree,
};
use super::schema_shape::{Key, Shape, defaults, kind, later, later_kind, later_word, optional, required};
use super::schema_variables::{
    IMAGE_VALUE_VARIABLES, MODE_VARIABLES, RELEASE_TAG_VARIABLES, SOURCE_VARIABLES, VALUE_VARIABLES,
};
use super::string_formats::Format;

/// One environment, without `base` and `overrides`: what a layer can say.
pub(super) const ENVIRONMENT: Shape = Keys(ENVIRONMENT_KEYS);

/// `base:` and every entry of `environments:`, as they stand in the file.
pub(super) const BASE_LAYER: Shape = Keys(&joined::<34, 1, 35>(ENVIRONMENT_KEYS, &[OVERRIDES]));

pub(super) const ENVIRONMENT_LAYER: Shape = Keys(&joined::<34, 2, 36>(
    ENVIRONMENT_KEYS,
    &[OVERRIDES, optional("base", Choice(&[("none", "nothing is taken from `base:`")]), "`none` leaves `base:` out.")],
));

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
        optional("await-jobs", AWAIT_JOBS, "Which Jobs of controllers are waited for, in place of the environment's."),
    ])),
    "What is different for some services: all that match, in file order.",
);

const TARGET: Shape = Kinds(&[
    kind(
        "render",
        "Pinned manifests are written to a branch, and to a folder.",
        &[
            optional(
                "source",
                Text(Format::Template(SOURCE_VARIABLES)),
                "Folder of a service's manifests, such as `{path}/deploy`; either this or `chart`.",
            ),
            optional(
                "chart",
                Text(Format::Template(SOURCE_VARIABLES)),
                "Folder of a service's chart, such as `{path}/chart`, which is rendered without a cluster.",
            ),
            optional("values", Tree(VALUE_VARIABLES), "What the chart is given besides its own `values.yaml`."),
            optional(
                "image-values",
                Named(Format::ValuesPath, &Text(Format::Template(IMAGE_VALUE_VARIABLES))),
                "Where the chart takes the locked image from; by default `image.repository` and `image.tag`.",
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
            defaults(
                "test-hooks",
                "list",
                Choice(&[
                    ("list", "their images that no digest decides are listed"),
                    ("refuse", "such an image refuses the deployment"),
                ]),
                "What becomes of hooks that `helm test` alone starts, which is never done here.",
            ),
        ],
    ),
    kind(
        "apply",
        "Plain manifests are applied in a cluster, and what a service no longer has is removed.",
        &[
            required(
                "source",
                Text(Format::Template(SOURCE_VARIABLES)),
                "Folder of a service's manifests, such as `{path}/deploy`.",
            ),
            optional(
                "kustomization",
                Text(Format::Template(SOURCE_VARIABLES)),
                "The folder below `source` whose kustomization makes the manifests, such as `overlays/{mode}`; `.` is `source`.",
            ),
        ],
    ),
    later_kind("compose"),
]);

const NAMESPACES: Shape = Keys(&[
    defaults("allow", "[]", List(&Text(Format::Namespace)), "Other namespaces that objects may name."),
    defaults("rewrite", "false", Boolean, "Whether a foreign namespace is replaced by the environment's."),
    defaults(
        "cluster-scoped",
        "[]",
        List(&Text(Format::NamedObject)),
        "Objects without a namespace that may be deployed.",
    ),
    defaults(
        "privileged",
        "[]",
        List(&Text(Format::NamedObject)),
        "Objects that may ask for privileges of the node, or give rights to others than accounts of the namespace.",
    ),
]);

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
            ("integration", "the branch that `branches.integration` names"),
            ("staging", "the branch that `branches.staging` names"),
            ("production", "the branch that `branches.production` names"),
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
    defaults(
        "sidecars",
        "[]",
        List(&ShortForm(&[
            required("name", Text(Format::Label), "Name of the container."),
            optional("image", Text(Format::ImageRepository), "The repository of its image; by default any."),
        ])),
        "Containers that other programs may add to pods, such as the proxy of a service mesh; every other one is a finding.",
    ),
    defaults("namespaces", "{}", NAMESPACES, "Namespaces other than the environment's own."),
    defaults("health", "{}", HEALTH, "What is asked before anything is changed."),
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
    optional("await-jobs", AWAIT_JOBS, "Jobs that controllers make for the services, which have to end well."),
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
    defaults(
        "noise",
        "[]",
        List(&Keys(&[
            required("match", Text(Format::Pattern), "Which services are meant."),
            optional("object", Text(Format::NamedObject), "The object, `KIND/NAME`; by default all of the services."),
            required(
                "fields",
                NonEmptyList(&Text(Format::FieldPath)),
                "The fields, as plans write them; `*` and `[*]` stand for every key and item.",
            ),
        ])),
        "Fields that other programs write, which plans and comparisons leave out.",
    ),
    defaults("ready", "{}", READY, "For kinds of objects, the condition that makes them ready."),
    defaults("tolerance", "{}", TOLERANCE, "What a wait takes for a disturbance that passes."),
    defaults(
        "removed",
        "keep",
        Choice(&[
            ("keep", "it stays, and is a finding"),
            ("delete", "its objects are deleted once the deployment is ready; volumes stay"),
        ]),
        "What becomes of a service in a cluster that left the lock or `deploy`.",
    ),
    defaults(
        "waves",
        "[]",
        List(&ShortForm(&[
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
        ])),
        "The order in which services are deployed: each wave is ready before the next one begins.",
    ),
    optional(
        "containers",
        Choice(&[("job", "as a Job in the environment's namespace"), later_word("docker")]),
        "Where its suites of kind `container` run.",
    ),
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
pub(super) const fn joined<const A: usize, const B: usize, const N: usize>(first: &[Key], second: &[Key]) -> [Key; N] {
    assert!(first.len() == A && second.len() == B && A + B == N, "the lengths are those of the lists");
    let mut all = [first[0]; N];
    let mut index = 0;
    while index < N {
        all[index] = if index < A { first[index] } else { second[index - A] };
        index += 1;
    }
    all
}
