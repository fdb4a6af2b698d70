//! Compiles the contracts with a compiler written in Rust, so that no `protoc` is needed.
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=linli");
    println!("cargo:rerun-if-changed=google");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let contracts = [
        ("ledger", &["ledger", "proof"][..]),
        (
            "activity",
            &[
                "activity",
                "event",
                "notice",
                "oversight",
                "payout",
                "policy",
                "report",
            ],
        ),
        (
            "redemption",
            &[
                "redemption",
                "event",
                "terminal",
                "member_code",
                "offline_code",
                "settlement",
            ],
        ),
        (
            "wish",
            &["wish", "beneficiary", "dispatch", "drive", "event"],
        ),
    ];
    for (service, files) in contracts {
        let mut compiler = protox::Compiler::new(["."])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(
            files
                .iter()
                .map(|file| format!("linli/{service}/v1/{file}.proto")),
        )?;
        fs::write(
            out.join(format!("{service}.descriptor")),
            compiler.encode_file_descriptor_set(),
        )?;
        tonic_prost_build::configure().compile_fds(compiler.file_descriptor_set())?;
    }
    Ok(())
}
