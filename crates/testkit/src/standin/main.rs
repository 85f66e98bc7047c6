//! standin
fn main() {}
