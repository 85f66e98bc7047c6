//! Shared code of the fuzz targets: a reader that checks the framer's guarantees ([`reading`]), an independent reference
//! reader ([`reference`]), a generator of documents in DCE's layout ([`document`]), and checks of the rows ([`rows`]).
//!
//! Everything here panics when a guarantee is broken. The fuzzer reports the panic as a finding.

pub mod document;
pub mod reading;
pub mod reference;
pub mod rows;
pub mod strict;
