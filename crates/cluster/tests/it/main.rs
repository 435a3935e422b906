//! Rules on tables of objects, and the client against a real control plane.

mod kubeconfig;
mod objects;
mod send;
