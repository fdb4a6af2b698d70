//! Tables as files that people open in a spreadsheet and programs read: CSV and XLSX, with the same columns.

use rust_xlsxwriter::{Format as Style, Workbook, Worksheet, XlsxError};

use crate::Problem;

/// So that Excel takes the text for UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Beyond this a spreadsheet's numbers are not exact, so greater ones are written as text.
const EXACT: i64 = 1_000_000_000_000_000;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// Comma-separated values in UTF-8.
    Csv,
    /// A workbook.
    Xlsx,
}

impl FileForm {
    /// How its name ends, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }
}

/// One table.
pub struct Sheet<'a> {
    /// At most 31 characters.
    pub name: &'a str,
    /// Of each column.
    pub headings: &'a [&'a str],
    /// The columns that are numbers, from 0.
    pub numbers: &'a [usize],
    /// As many cells each as there are headings.
    pub rows: Box<dyn Iterator<Item = Vec<String>> + 'a>,
}

/// Makes a file. A workbook has every sheet, CSV the first alone.
pub fn write_sheets(form: FileForm, mut sheets: Vec<Sheet<'_>>) -> Result<Vec<u8>, Problem> {
    match form {
        FileForm::Csv if sheets.is_empty() => Ok(BYTE_ORDER_MARK.to_vec()),
        FileForm::Csv => {
            csv(sheets.swap_remove(0)).map_err(|error| Problem::new(format!("no CSV: {error}")))
        }
        FileForm::Xlsx => {
            xlsx(sheets).map_err(|error| Problem::new(format!("no workbook: {error}")))
        }
    }
}

fn csv(sheet: Sheet<'_>) -> csv::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(BYTE_ORDER_MARK.to_vec());
    writer.write_record(sheet.headings)?;
    for row in sheet.rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            if sheet.numbers.contains(&column) {
                cell.clone()
            } else {
                harmless(cell)
            }
        });
        writer.write_record(cells)?;
    }
    Ok(writer.into_inner().map_err(|error| error.into_error())?)
}

/// A text that no spreadsheet takes for a formula; without one leading apostrophe, if it begins with one, it is the text again.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\'']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn xlsx(sheets: Vec<Sheet<'_>>) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    for sheet in sheets {
        let written = workbook.add_worksheet();
        begin_sheet(written, sheet.name, sheet.headings)?;
        for (index, cells) in sheet.rows.enumerate() {
            write_row(written, index, &cells, sheet.numbers)?;
        }
    }
    workbook.save_to_buffer()
}

fn begin_sheet(sheet: &mut Worksheet, name: &str, headings: &[&str]) -> Result<(), XlsxError> {
    let bold = Style::new().set_bold();
    sheet.set_name(name)?.set_freeze_panes(1, 0)?;
    for (column, heading) in (0..).zip(headings) {
        sheet.write_string_with_format(0, column, *heading, &bold)?;
        sheet.set_column_width(column, 16)?;
    }
    Ok(())
}

/// Writes text as text, whatever it looks like, and numbers as numbers.
fn write_row(
    sheet: &mut Worksheet,
    index: usize,
    cells: &[String],
    numbers: &[usize],
) -> Result<(), XlsxError> {
    let row = u32::try_from(index + 1).map_err(|_| XlsxError::RowColumnLimitError)?;
    for (column, cell) in cells.iter().enumerate() {
        let place = u16::try_from(column).map_err(|_| XlsxError::RowColumnLimitError)?;
        match cell.parse::<i64>() {
            Ok(number) if numbers.contains(&column) && number.abs() < EXACT =>
            {
                #[expect(clippy::cast_precision_loss, reason = "a spreadsheet has no others")]
                sheet.write_number(row, place, number as f64)?
            }
            _ => sheet.write_string(row, place, cell)?,
        };
    }
    Ok(())
}
