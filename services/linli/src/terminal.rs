//! Results on stdout, everything else on stderr.

use std::io::{self, Write};

use runtime::Problem;

/// Prints one line of a result.
pub fn print(line: impl AsRef<str>) -> Result<(), Problem> {
    write(format!("{}\n", line.as_ref()).as_bytes())
}

/// Writes a result. A reader that has gone away (`| head`) is no failure.
pub fn write(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Problem::new(format!("can't write the result: {error}")))
        }
        _ => Ok(()),
    }
}
