//! The tests' own helpers are tested too: a broken bench makes every other answer worthless.

mod registry;
mod repository;
