//! The one way to start a program: argument list, named environment, deadline, redaction, no shell.
