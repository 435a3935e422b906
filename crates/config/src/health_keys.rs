//! The keys of `health`, as data: what an environment is asked before anything is changed.

use super::cluster_keys::{CHECK_SEVERITY, CLUSTER_CHECKS};
use super::environment_keys::joined;
use super::schema_keys::{COMMAND, ENV, PEM_KEYS, PLAIN, SECRET_KEYS};
use super::schema_shape::Shape::{Boolean, Integer, Keys, Kinds, Named, ShortForm, Source, Text, Tree};
use super::schema_shape::{Key, Kind, Shape, defaults, kind, later_kind, optional, required};
use super::schema_variables::RUN_VARIABLES;
use super::string_formats::Format;

pub(super) const HEALTH: Shape = Keys(&[
    defaults("probes", "{}", Named(Format::Label, &Kinds(PROBE_KINDS)), "Probes, by name."),
    defaults(
        "dependencies",
        "{}",
        Named(Format::Label, &ShortForm(DEPENDENCY)),
        "What the environment depends on: addresses, by name.",
    ),
    defaults(
        "checks",
        "{}",
        Keys(CLUSTER_CHECKS),
        "What the cluster of the environment is asked, and what a finding means.",
    ),
]);

const SEVERITY: Key = defaults("severity", "block", CHECK_SEVERITY, "What a failure means.");

const RETRIES: Key = defaults(
    "retries",
    "0",
    Integer { least: 0, most: 20 },
    "How often it is asked again, a second later, before a failure counts.",
);

const PROBE_COMMON: [Key; 3] =
    [SEVERITY, defaults("deadline", "10s", Text(Format::Duration), "How long the answer may take."), RETRIES];

const LOGIN: Key = optional(
    "login",
    Keys(&[
        required("user", Source(SECRET_KEYS), "The user's name."),
        required("password", Source(SECRET_KEYS), "The user's password."),
    ]),
    "Who logs in and asks a question; without it the server is healthy when it asks for a login.",
);

const TLS: Key = defaults("tls", "false", Boolean, "Whether TLS is spoken, and the server's certificate verified.");

const CA: Key = optional(
    "ca",
    Source(PEM_KEYS),
    "The authorities that alone are trusted, in PEM; by default those of the machine.",
);

const PLACE: Key = required(
    "address",
    Text(Format::ProbePlace),
    "`HOST:PORT`, or `svc/NAME:PORT` for a Service in the environment's namespace.",
);

const DEPENDENCY: &[Key] = &[
    required(
        "url",
        Text(Format::Dependency(RUN_VARIABLES)),
        "The address, whose scheme is the protocol: `postgres://svc/db:5432`.",
    ),
    LOGIN,
    TLS,
    CA,
    SEVERITY,
    defaults("deadline", "5s", Text(Format::Duration), "How long the answer may take."),
    RETRIES,
];

const SERVER: [Key; 4] = [PLACE, LOGIN, TLS, CA];

/// A server that may have several databases.
const DATABASE_SERVER: [Key; 8] = joined::<5, 3, 8>(
    &joined::<4, 1, 5>(&SERVER, &[optional("database", Text(Format::Sentence), "The database that the login is for.")]),
    &PROBE_COMMON,
);

const PROBE_KINDS: &[Kind] = &[
    kind(
        "http",
        "A GET request whose answer is as expected.",
        &joined::<7, 3, 10>(
            &[
                required(
                    "url",
                    Text(Format::Template(RUN_VARIABLES)),
                    "The address, such as `{url}/healthz` or `http://svc/cart:8080/healthz`.",
                ),
                defaults("status", "200", Integer { least: 100, most: 599 }, "The status that means healthy."),
                optional(
                    "header",
                    Named(Format::HeaderName, &Text(Format::Sentence)),
                    "Headers that the answer has, with their whole values.",
                ),
                optional("body-contains", Text(Format::Sentence), "A text somewhere in the body."),
                optional("json", Tree(&[]), "Values of a JSON body, by JSON pointer."),
                optional("within", Text(Format::Duration), "The longest time until the whole answer is there."),
                CA,
            ],
            &PROBE_COMMON,
        ),
    ),
    kind(
        "prometheus",
        "A query whose values keep a bound.",
        &joined::<4, 3, 7>(
            &[
                required(
                    "url",
                    Text(Format::Template(RUN_VARIABLES)),
                    "The server's address, such as `http://svc/prometheus:9090`.",
                ),
                required("query", Text(Format::Sentence), "The query, in PromQL."),
                required("expect", Text(Format::Bound), "What every value is, such as `<= 0.05`."),
                CA,
            ],
            &PROBE_COMMON,
        ),
    ),
    kind("postgresql", "A PostgreSQL that takes logins.", &DATABASE_SERVER),
    kind("mysql", "A MySQL or MariaDB that takes logins.", &DATABASE_SERVER),
    kind("redis", "A Redis that takes commands or logins.", &joined::<4, 3, 7>(&SERVER, &PROBE_COMMON)),
    kind(
        "rabbitmq",
        "A RabbitMQ that takes logins.",
        &joined::<5, 3, 8>(
            &joined::<4, 1, 5>(
                &SERVER,
                &[optional("vhost", Text(Format::Sentence), "The virtual host that the login opens; by default `/`.")],
            ),
            &PROBE_COMMON,
        ),
    ),
    kind("nats", "A NATS server that takes logins.", &joined::<4, 3, 7>(&SERVER, &PROBE_COMMON)),
    kind(
        "grpc",
        "A gRPC server whose health service says that it serves.",
        &joined::<4, 3, 7>(
            &[
                PLACE,
                optional("service", Text(Format::Sentence), "The service that is asked about; by default the server."),
                TLS,
                CA,
            ],
            &PROBE_COMMON,
        ),
    ),
    kind(
        "tls",
        "A server whose certificate is valid for some time.",
        &joined::<3, 3, 6>(
            &[
                PLACE,
                defaults("days", "14", Integer { least: 0, most: 365 }, "How many days longer it must be valid."),
                CA,
            ],
            &PROBE_COMMON,
        ),
    ),
    kind(
        "dns",
        "A host name that has an address.",
        &joined::<1, 3, 4>(&[required("name", Text(Format::HostName), "The name.")], &PROBE_COMMON),
    ),
    kind(
        "tcp",
        "A connection that is accepted.",
        &joined::<1, 3, 4>(&[required("address", Text(Format::HostPort), "`HOST:PORT`.")], &PROBE_COMMON),
    ),
    kind("command", "A program that exits with 0.", &joined::<3, 3, 6>(&[COMMAND, ENV, PLAIN], &PROBE_COMMON)),
    later_kind("kafka"),
    later_kind("mongodb"),
];
