//! Request queues and what front and target say to each other about a delegated exchange.
#![forbid(unsafe_code)]
