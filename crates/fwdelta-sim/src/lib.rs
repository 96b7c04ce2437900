//! Flash model and naive reference applier for tests.
