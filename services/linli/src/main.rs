//! The binary `linli`; everything it does is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// Answers made on one thread are freed on another, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    linli::cli::main()
}
