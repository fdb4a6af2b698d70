//! A failure to start or to go on, told to the person at the keyboard in one line that says what to do.

use std::fmt;

/// One clear line for an operator; its `Display` is that line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// Makes a problem from its line; line breaks become spaces.
    pub fn new(line: impl Into<String>) -> Self {
        let line: String = line.into();
        let words: Vec<&str> = line.split_whitespace().collect();
        Self(words.join(" "))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line() {
        let problem = Problem::new("port 7401 is taken:\n  stop the other server");
        assert_eq!(
            problem.to_string(),
            "port 7401 is taken: stop the other server"
        );
    }
}
