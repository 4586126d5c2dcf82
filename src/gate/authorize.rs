//! App, API, stage, expiry.
