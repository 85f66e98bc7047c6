//! Text formats of messages. Values are appended as they arrive from the server; nothing is kept.

use serde::Serialize;

pub mod csv;
pub mod json;

fn serialize(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    let _ = serde_json::to_writer(out, value); // texts, times and ids always serialise, and a Vec accepts every write
}
