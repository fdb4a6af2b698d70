//! The binary `linli`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    linli::cli::main()
}
