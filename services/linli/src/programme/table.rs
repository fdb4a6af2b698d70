//! One table of a programme, read strictly: every value is what its column says, or the file, line, column and value at
//! fault are named.

use std::{fs, io, path::Path, str::FromStr, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use runtime::Problem;

/// One row, its values in the order of the table's columns.
#[derive(Debug, Clone)]
pub struct Row {
    file: Arc<str>,
    line: usize,
    columns: &'static [&'static str],
    values: Vec<String>,
}

/// Reads the rows of `folder/name`, whose header must name exactly these columns. A missing table is empty.
pub fn read(
    folder: &Path,
    name: &str,
    columns: &'static [&'static str],
) -> Result<Vec<Row>, Problem> {
    let path = folder.join(name);
    let file: Arc<str> = path.display().to_string().into();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::new(format!("can't read {file}: {error}"))),
    };
    parse(file, &text, columns)
}

fn parse(
    file: Arc<str>,
    text: &[u8],
    columns: &'static [&'static str],
) -> Result<Vec<Row>, Problem> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let header = reader
        .headers()
        .map_err(|error| broken(&file, text, &error))?;
    let mut order = Vec::new();
    for column in columns {
        let mut found = header
            .iter()
            .enumerate()
            .filter(|(_, title)| title == column);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => order.push(place),
            _ => return Err(wrong_header(&file, header, columns)),
        }
    }
    if header.len() != columns.len() {
        return Err(wrong_header(&file, header, columns));
    }
    let mut rows = Vec::new();
    let mut lines = Lines::of(text);
    for record in reader.records() {
        let record = record.map_err(|error| broken(&file, text, &error))?;
        rows.push(Row {
            file: Arc::clone(&file),
            line: lines.line(record.position()),
            columns,
            values: order
                .iter()
                .map(|place| record[*place].to_owned())
                .collect(),
        });
    }
    Ok(rows)
}

/// Counts lines by itself: the reader takes a record of a file with CRLF to begin in the line before.
struct Lines<'a> {
    text: &'a [u8],
    /// How far it has counted.
    byte: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a [u8]) -> Self {
        Self {
            text,
            byte: 0,
            line: 1,
        }
    }

    /// The line of a position, which is not before the one asked for last.
    fn line(&mut self, position: Option<&csv::Position>) -> usize {
        let start = position
            .and_then(|position| usize::try_from(position.byte()).ok())
            .unwrap_or(0);
        // Line breaks at the start belong to the lines before, and so do empty lines.
        let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
        while self.byte < self.text.len() && (self.byte < start || is_break(&self.text[self.byte]))
        {
            self.line += usize::from(self.text[self.byte] == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

fn wrong_header(file: &str, header: &csv::StringRecord, columns: &[&str]) -> Problem {
    let found: Vec<&str> = header.iter().collect();
    Problem::new(format!(
        "{file} line 1: the columns must be {}, not {:?}",
        columns.join(","),
        found.join(",")
    ))
}

fn broken(file: &str, text: &[u8], error: &csv::Error) -> Problem {
    let line = Lines::of(text).line(error.position());
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("has {len} values, and the header has {expected_len}"),
        _ => error.to_string(),
    };
    Problem::new(format!("{file} line {line}: {why}"))
}

impl Row {
    /// A value that may be empty.
    ///
    /// # Panics
    /// When the table has no such column, which is our bug.
    pub fn optional(&self, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| *name == column);
        let place = place.expect("the column is one of the table's");
        Some(self.values[place].as_str()).filter(|value| !value.is_empty())
    }

    /// A value that must not be empty.
    pub fn text(&self, column: &str) -> Result<&str, Problem> {
        self.optional(column)
            .ok_or_else(|| self.fault(column, "is empty"))
    }

    /// A whole number in these bounds.
    pub fn integer(&self, column: &str, min: i64, max: i64) -> Result<i64, Problem> {
        let text = self.text(column)?;
        // `+5` would do for Rust, and so would a number that a spreadsheet shows as text.
        let plain = text.strip_prefix('-').unwrap_or(text);
        let value = plain
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| i64::from_str(text).ok())
            .flatten();
        match value {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(self.fault(
                column,
                &format!("is not a whole number from {min} to {max}"),
            )),
        }
    }

    /// The same, or nothing.
    pub fn optional_integer(
        &self,
        column: &str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, Problem> {
        match self.optional(column) {
            None => Ok(None),
            Some(_) => self.integer(column, min, max).map(Some),
        }
    }

    /// An instant.
    pub fn instant(&self, column: &str) -> Result<DateTime<Utc>, Problem> {
        DateTime::parse_from_rfc3339(self.text(column)?)
            .map(|at| at.to_utc())
            .map_err(|_| self.fault(column, "is not a time like 2024-05-19T19:30:00+08:00"))
    }

    /// The same, or nothing.
    pub fn optional_instant(&self, column: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        match self.optional(column) {
            None => Ok(None),
            Some(_) => self.instant(column).map(Some),
        }
    }

    /// A date.
    pub fn date(&self, column: &str) -> Result<NaiveDate, Problem> {
        let text = self.text(column)?;
        match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            // Only the full form: 10 characters.
            Ok(date) if text.len() == 10 => Ok(date),
            _ => Err(self.fault(column, "is not a date like 2024-05-19")),
        }
    }

    /// One of these words, and what it stands for.
    pub fn choice<T: Copy>(&self, column: &str, words: &[(&str, T)]) -> Result<T, Problem> {
        let text = self.text(column)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(self.fault(column, &format!("is none of {}", words.join(", "))))
            }
        }
    }

    /// What is wrong with the value of a column.
    pub fn fault(&self, column: &str, why: &str) -> Problem {
        let value = self.optional(column).unwrap_or_default();
        Problem::new(format!(
            "{} line {}: {column} {why}: {value:?}",
            self.file, self.line
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[&str] = &["no", "points", "at", "from", "kind"];

    fn row(values: &str) -> Row {
        let text = format!("no,points,at,from,kind\r\n{values}\r\n");
        parse("t.csv".into(), text.as_bytes(), COLUMNS)
            .unwrap()
            .remove(0)
    }

    fn fault<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_fault_names_file_line_column_and_value() {
        let row = row("A1,ten,yesterday,2024-1-1,cat");
        assert_eq!(
            fault(row.integer("points", 1, 9)),
            "t.csv line 2: points is not a whole number from 1 to 9: \"ten\""
        );
        assert_eq!(
            fault(row.instant("at")),
            "t.csv line 2: at is not a time like 2024-05-19T19:30:00+08:00: \"yesterday\""
        );
        assert_eq!(
            fault(row.date("from")),
            "t.csv line 2: from is not a date like 2024-05-19: \"2024-1-1\""
        );
        assert_eq!(
            fault(row.choice("kind", &[("dog", 1), ("cow", 2)])),
            "t.csv line 2: kind is none of dog, cow: \"cat\""
        );
    }

    #[test]
    fn numbers_are_whole_and_within_bounds() {
        for wrong in [
            "",
            "1.0",
            "+1",
            " 1",
            "1e3",
            "0",
            "99999999999999999999",
            "-",
        ] {
            let row = row(&format!("A1,{wrong},,,"));
            assert!(row.integer("points", 1, 1000).is_err(), "{wrong:?}");
        }
        assert_eq!(row("A1,1000,,,").integer("points", 1, 1000).unwrap(), 1000);
        assert_eq!(row("A1,-5,,,").integer("points", -5, 0).unwrap(), -5);
    }

    #[test]
    fn a_value_may_be_missing_where_that_is_allowed() {
        let row = row("A1,,,,");
        assert_eq!(row.optional_integer("points", 1, 9).unwrap(), None);
        assert_eq!(row.optional_instant("at").unwrap(), None);
        assert_eq!(fault(row.text("kind")), "t.csv line 2: kind is empty: \"\"");
    }

    #[test]
    fn columns_may_stand_in_any_order_and_after_a_byte_order_mark() {
        let text = "\u{feff}points,no,at,from,kind\n5,A1,,,\n";
        let rows = parse("t.csv".into(), text.as_bytes(), COLUMNS).unwrap();
        assert_eq!(rows[0].text("no").unwrap(), "A1");
        assert_eq!(rows[0].integer("points", 1, 9).unwrap(), 5);
    }

    #[test]
    fn a_column_that_is_missing_unknown_or_twice_there_is_refused() {
        for header in [
            "no,points,at,from",
            "no,points,at,from,kind,more",
            "no,points,at,from,from",
            "",
        ] {
            let line = fault(parse("t.csv".into(), header.as_bytes(), COLUMNS));
            assert!(
                line.starts_with("t.csv line 1: the columns must be no,points"),
                "{line}"
            );
        }
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let text = b"no,points,at,from,kind\nA1,5,,,\nA2,5\n";
        assert_eq!(
            fault(parse("t.csv".into(), text, COLUMNS)),
            "t.csv line 3: has 2 values, and the header has 5"
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let text = b"no,points,at,from,kind\nA1,5,,,\n\xff,5,,,\n";
        assert_eq!(
            fault(parse("t.csv".into(), text, COLUMNS)),
            "t.csv line 3: is not UTF-8"
        );
    }

    #[test]
    fn quoted_values_keep_commas_and_line_breaks() {
        let text = b"no,points,at,from,kind\n\"A,\n1\",5,,,\nA2,5,,,\n";
        let rows = parse("t.csv".into(), text, COLUMNS).unwrap();
        assert_eq!(rows[0].text("no").unwrap(), "A,\n1");
        assert!(rows[1].fault("no", "x").to_string().contains("line 4"));
    }

    #[test]
    fn a_missing_table_is_empty() {
        assert!(
            read(Path::new("/nowhere"), "t.csv", COLUMNS)
                .unwrap()
                .is_empty()
        );
    }
}
