//! System tests: the built binary and its formats on real parts, and the rules of the workspace itself.

#![expect(
    clippy::unwrap_used,
    reason = "the test lint settings know test functions, not the functions that they share"
)]
#![expect(clippy::string_slice, reason = "ids are hexadecimal")]

mod cache;
mod changelog;
mod chart_files;
mod children;
mod cluster_admission;
mod cluster_autoscalers;
mod cluster_charts;
mod cluster_containers;
mod cluster_controllers;
mod cluster_costs;
mod cluster_demo;
mod cluster_disturbances;
mod cluster_dossiers;
mod cluster_faults;
mod cluster_first_user;
mod cluster_health;
mod cluster_intrusions;
mod cluster_keys;
mod cluster_kill;
mod cluster_kill_helm;
mod cluster_kill_plan;
mod cluster_kill_writes;
mod cluster_kubeconfig_file;
mod cluster_lies;
mod cluster_masks;
mod cluster_moved_charts;
mod cluster_noise;
mod cluster_ownership;
mod cluster_places;
mod cluster_plans;
mod cluster_probes;
mod cluster_removals;
mod cluster_replaced_settings;
mod cluster_reports;
mod cluster_rollbacks;
mod cluster_round_trips;
mod cluster_settings;
mod cluster_stopped;
mod cluster_templates;
mod cluster_waves;
mod clusters;
mod compose;
mod demo;
mod examples;
mod faults;
mod faults_kill;
mod first_user;
mod flow;
mod flow_cases;
mod flow_trains;
mod git_credentials;
mod identity;
mod ledger_attacks;
mod lock_cases;
mod lock_check;
mod logins;
mod migrate;
mod names;
mod places;
mod proxy;
mod pull_requests;
mod readers;
mod refusals;
mod refusals_charts;
mod refusals_locks;
mod refusals_production;
mod rendered_charts;
mod review_regressions;
mod secrets;
mod shop;
mod stops;
mod storage;
mod submodule_rules;
mod terminal;
mod trace;
mod turns;
mod user_git;
mod workspace;
