//! What a request means and what is answered: routes, grouping keys, negotiation and the web page.
//!
//! Owns no socket and no file; bytes come in and answers go out.

pub mod grouping;
pub mod json;
pub mod negotiation;
pub mod page;
pub mod query;
pub mod reply;
pub mod route;
