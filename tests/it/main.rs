//! System tests on real parts.
