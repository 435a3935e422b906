//! Test suites against an environment, and their reports.
