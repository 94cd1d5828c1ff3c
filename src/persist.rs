//! Persistence: groups in and out of an embedded database, off the loop.
//!
//! Owns the form of a group on disk, the helper thread that does all file work, and the decision what is written when.
//! It never sees a request or a socket, and the loop's side of it ([`Journal`]) never waits for a disk.

mod record;
