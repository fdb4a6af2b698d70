//! Tells cargo that the embedded migrations are an input: without it a new file would be missed.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
