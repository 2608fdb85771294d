//! Node's view of a request queue: what `lib/` calls.
//!
//! All of it is called by Node's own thread. Texts of heads cross the border as one string or buffer each, their
//! parts divided by line feeds, which no part of a head can have: a call costs more than a split.

mod head;
mod queue;
