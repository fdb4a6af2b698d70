//! Results on stdout, everything else on stderr.

use std::io::{self, Write};

use runtime::Problem;

/// Prints one line of a result.
pub fn print(line: impl AsRef<str>) -> Result<(), Problem> {
    write(format!("{}\n", line.as_ref()).as_bytes())
}

/// Writes a result. A reader that has gone away (`| head`) is no failure.
pub fn write(bytes: &[u8]) -> Result<(), Problem> {
    is_read(bytes).map(|_| ())
}

/// Writes a part of a result; false when its reader has gone away.
pub fn is_read(bytes: &[u8]) -> Result<bool, Problem> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Problem::new(format!("can't write the result: {error}"))),
    }
}
