//! End-to-end tests with real processes: POST /exports, queue, worker, DCE (the stand-in), rows in Postgres.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod archive;
mod budget;
mod clients;
mod control;
mod document;
mod documents;
mod endings;
mod erasure;
mod failures;
mod false_proofs;
mod fenced;
mod filters;
mod limits;
mod memory;
mod outages;
mod parallel;
mod proof_access;
mod proof_changes;
mod proof_losses;
mod proof_outages;
mod proof_races;
mod proof_service;
mod proof_setting;
mod proof_trap;
mod resume;
mod secrets;
mod shutdown;
mod starters;
mod takeover;
mod ties;
mod token;
mod update;
mod warnings;
