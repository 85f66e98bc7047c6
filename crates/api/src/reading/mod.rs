//! Messages as answers: what a request asks for, in which form, as a page or as a stream of everything.

pub mod archive;
pub mod form;
pub mod next_page;
pub mod page;
pub mod parameters;
pub mod rows;
pub mod stream;
