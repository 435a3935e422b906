use std::collections::BTreeMap;

use deployer::Dossier;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::evidence::{DeployedPlan, Evidence, FailedDeployment, PromotedImages};
use super::{
    ApprovalsReport, ConfigCheckReport, ConfigInitReport, ConfigShowReport, DriftReport, EvidenceReport,
    ForgeInitReport, ForgeReviewReport, HealthReport, HistoryReport, HoldReport, ImagesExplainReport, LockCheckReport,
    LockCommitReport, LockComposeReport, LockDiffReport, LockGenerateReport, LockMigrateReport, LockPublishReport,
    LockRejectReport, LockShowReport, MergeReport, NotRolledBack, PermissionsReport, PlanReport, PolicyAcceptReport,
    PullRequestChecks, PullRequestList, PullRequestReport, PullRequestView, RecordReport, ReleasesReport,
    RollbackCheckReport, RollbackPlanReport, RunReport, StatusReport, StepLine, TakeOverReport, TestReport,
    UpdateVerdictReport, VerifyReport,
};
use crate::error::ListedProblem;

/// Adds a type to a schema, and returns the reference to it.
type Part = fn(&mut SchemaGenerator) -> Value;

/// The commands with a report of their own, and the schema of each report.
const COMMANDS: &[(&str, Part)] = &[
    ("approvals", part::<ApprovalsReport>),
    ("config check", part::<ConfigCheckReport>),
    ("config init", part::<ConfigInitReport>),
    ("config show", part::<ConfigShowReport>),
    ("deploy", part::<RunReport>),
    ("drift", part::<DriftReport>),
    ("forge hook", part::<UpdateVerdictReport>),
    ("forge init", part::<ForgeInitReport>),
    ("forge pr checks", part::<PullRequestChecks>),
    ("forge pr close", part::<PullRequestReport>),
    ("forge pr create", part::<PullRequestReport>),
    ("forge pr list", part::<PullRequestList>),
    ("forge pr merge", part::<MergeReport>),
    ("forge pr ready", part::<PullRequestReport>),
    ("forge pr review", part::<ForgeReviewReport>),
    ("forge pr view", part::<PullRequestView>),
    ("health", part::<HealthReport>),
    ("history", part::<HistoryReport>),
    ("history evidence", part::<EvidenceReport>),
    ("history show", part::<RecordReport>),
    ("hold", part::<HoldReport>),
    ("images explain", part::<ImagesExplainReport>),
    ("lock check", part::<LockCheckReport>),
    ("lock commit", part::<LockCommitReport>),
    ("lock compose", part::<LockComposeReport>),
    ("lock diff", part::<LockDiffReport>),
    ("lock generate", part::<LockGenerateReport>),
    ("lock migrate", part::<LockMigrateReport>),
    ("lock publish", part::<LockPublishReport>),
    ("lock reject", part::<LockRejectReport>),
    ("lock show", part::<LockShowReport>),
    ("permissions", part::<PermissionsReport>),
    ("plan", part::<PlanReport>),
    ("policy accept", part::<PolicyAcceptReport>),
    ("policy take-over", part::<TakeOverReport>),
    ("promote", part::<RunReport>),
    ("release", part::<RunReport>),
    ("releases", part::<ReleasesReport>),
    ("rollback", part::<RunReport>),
    // With `--dry-run`.
    ("rollback", part::<RollbackPlanReport>),
    // With `--check`.
    ("rollback", part::<RollbackCheckReport>),
    ("run", part::<RunReport>),
    ("status", part::<StatusReport>),
    ("test run", part::<TestReport>),
    ("unhold", part::<HoldReport>),
    ("verify", part::<VerifyReport>),
];

/// Answers of the program itself: the command, where only one answers like this, and the names of their parts. The first is
/// what `--help` and `--version` print.
const TEXTS: &[(Option<&str>, &[&str])] = &[
    (None, &["text"]),
    (Some("completion"), &["shell", "script"]),
    (Some("demo"), &["folder", "scenes"]),
    // With `--cluster`.
    (Some("demo"), &["folder", "removed", "scenes"]),
    (Some("man"), &["page"]),
    (Some("man"), &["pages"]),
    (Some("schema print"), &["kind", "schema"]),
    (Some("version"), &["version"]),
];

/// The documents that the ledger keeps beside its records.
const EVIDENCE: &[(&str, Part)] = &[
    ("dossier.json", part::<Evidence<FailedDeployment>>),
    ("gates.json", part::<Evidence<promotion::gates::GateReport>>),
    ("health.json", part::<Evidence<healthcheck::HealthReport>>),
    ("plan.json", part::<Evidence<DeployedPlan>>),
    ("proof.json", part::<Evidence<deployer::Proof>>),
    ("suite-NAME.json", part::<Evidence<qa::SuiteReport>>),
    ("unpinned-images.json", part::<Evidence<PromotedImages>>),
];

/// The JSON Schema of what every command prints as JSON: the command and its exit code, and the result or the error.
pub fn report_schema() -> Value {
    let mut generator = generator();
    let problem = part::<ListedProblem>(&mut generator);
    let step = part::<StepLine>(&mut generator);
    let dossier = part::<Dossier>(&mut generator);
    let not_rolled_back = part::<Vec<NotRolledBack>>(&mut generator);
    let mut forms: Vec<Value> = COMMANDS
        .iter()
        .map(|(command, result)| {
            json!({
                "type": "object",
                "properties": {
                    "command": { "const": command },
                    "exit_code": { "type": "integer" },
                    "result": result(&mut generator),
                },
                "required": ["command", "exit_code", "result"],
                "additionalProperties": false,
            })
        })
        .collect();
    for (command, names) in TEXTS {
        let command = command.map_or_else(|| json!({ "type": "string" }), |command| json!({ "const": command }));
        let shape = |name: &str| match name {
            "pages" | "removed" => json!({ "type": "array", "items": { "type": "string" } }),
            "schema" => json!({ "type": "object", "description": "A JSON Schema." }),
            "scenes" => json!({
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "title": { "type": "string" },
                        "why": { "type": "string" },
                        "commands": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "command": { "type": "string" },
                                    "output": { "type": "string" },
                                    "exit_code": { "type": "integer" },
                                },
                                "required": ["command", "output", "exit_code"],
                                "additionalProperties": false,
                            },
                        },
                    },
                    "required": ["title", "why", "commands"],
                    "additionalProperties": false,
                },
            }),
            _ => json!({ "type": "string" }),
        };
        let properties: BTreeMap<&str, Value> = names.iter().map(|name| (*name, shape(name))).collect();
        forms.push(json!({
            "type": "object",
            "properties": {
                "command": command,
                "exit_code": { "const": 0 },
                "result": {
                    "type": "object",
                    "properties": properties,
                    "required": names,
                    "additionalProperties": false,
                },
            },
            "required": ["command", "exit_code", "result"],
            "additionalProperties": false,
        }));
    }
    forms.push(json!({
        "type": "object",
        "properties": {
            "command": { "type": "string", "description": "Empty where the arguments name no command." },
            "exit_code": { "type": "integer" },
            "error": {
                "type": "object",
                "properties": {
                    "kind": { "type": "string", "description": "The name of the exit code." },
                    "message": { "type": "string" },
                    "causes": { "type": "array", "items": { "type": "string" } },
                    "problems": { "type": "array", "items": problem },
                    "hints": { "type": "array", "items": { "type": "string" } },
                    "steps": {
                        "type": "array",
                        "items": step,
                        "description": "The steps that a run took; the last one is what failed.",
                    },
                    "dossier": dossier,
                    "not_rolled_back": not_rolled_back,
                },
                "required": ["kind", "message", "causes", "problems", "hints"],
                "additionalProperties": false,
            },
        },
        "required": ["command", "exit_code", "error"],
        "additionalProperties": false,
    }));
    document("What a command prints with `--format json`", "oneOf", &Value::Array(forms), generator)
}

/// The JSON Schemas of the documents that the ledger keeps, each under its name in `properties`.
pub fn evidence_schema() -> Value {
    let mut generator = generator();
    let documents: BTreeMap<&str, Value> = EVIDENCE.iter().map(|(name, part)| (*name, part(&mut generator))).collect();
    document("Evidence beside the ledger's records, by name", "properties", &json!(documents), generator)
}

/// The JSON Schema of the file that `plan --save` writes.
pub fn saved_plan_schema() -> Value {
    let mut generator = generator();
    let form = part::<crate::saved_plan::SavedPlan>(&mut generator);
    document("The file of a plan", "oneOf", &json!([form]), generator)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().for_serialize().into_generator()
}

fn part<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn document(title: &str, key: &str, content: &Value, mut generator: SchemaGenerator) -> Value {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        key: content,
        "$defs": generator.take_definitions(true),
    });
    lock_model::sorted_schema(schema)
}
