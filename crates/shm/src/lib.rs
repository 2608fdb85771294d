//! Shared-memory rings, wake-ups and descriptor passing between two processes.
