//! Statements as files that people open in a spreadsheet and programs read: CSV and XLSX, with the same columns.

use chrono::{NaiveDate, SecondsFormat};
use proto::redemption::v1 as pb;
use runtime::{FileForm, Sheet};
use tonic::Status;

use crate::{
    Download,
    domain::{CELLS, Line, LineHash, LineKind, Statement, StatementState, Zone},
};

/// The headings of lines: those that a hash covers, then the hash and what is only for people.
const LINES: [&str; COLUMNS] = [
    "日期 Date",
    "行号 Line",
    "类型 Kind",
    "账本分录 Entry",
    "兑换单 Redemption",
    "兑换项目 Offer",
    "名称 Title",
    "数量 Quantity",
    "积分 Points",
    "余额 Balance",
    "时间(UTC) Time (UTC)",
    "调整对象 Adjusts",
    "校验值 Hash",
    "当地时间 Local time",
    "说明 In Chinese",
    "异议 Dispute",
];
const COLUMNS: usize = CELLS + 4;
/// The columns that are numbers.
const NUMBERS: [usize; 4] = [1, 7, 8, 9];
const STATEMENTS: [&str; 15] = [
    "日期 Date",
    "状态 State",
    "行数 Lines",
    "期初余额 Opening balance",
    "核销 Captured",
    "撤销 Reversed",
    "其他 Other",
    "期末余额 Closing balance",
    "调整 Adjusted",
    "应付积分 Payable",
    "前一校验值 Previous hash",
    "校验值 Hash",
    "确认人 Confirmed by",
    "付款人 Paid by",
    "付款凭证 Payment reference",
];

/// The form that was asked for, if one was.
pub(super) fn form(asked: Option<pb::FileFormat>) -> Option<FileForm> {
    match asked? {
        pb::FileFormat::Unspecified => None,
        pb::FileFormat::Csv => Some(FileForm::Csv),
        pb::FileFormat::Xlsx => Some(FileForm::Xlsx),
    }
}

/// Makes the file.
pub(super) fn file(
    form: FileForm,
    (start, end): (NaiveDate, NaiveDate),
    download: &Download,
) -> Result<pb::DownloadStatementsResponse, Status> {
    let lines = Sheet {
        name: "明细 Lines",
        headings: &LINES,
        numbers: &NUMBERS,
        rows: Box::new(rows(download)),
    };
    let statements = Sheet {
        name: "对账单 Statements",
        headings: &STATEMENTS,
        numbers: &[2, 3, 4, 5, 6, 7, 8, 9],
        rows: Box::new(download.statements.iter().map(totals)),
    };
    let content = runtime::write_sheets(form, vec![lines, statements]).map_err(|error| {
        tracing::error!("A file of statements was not made: {error}");
        runtime::internal()
    })?;
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    let number: String = download.number.chars().filter(plain).collect();
    Ok(pb::DownloadStatementsResponse {
        content,
        content_type: form.content_type().to_owned(),
        file_name: format!("statements-{number}-{start}-{end}.{}", form.extension()),
    })
}

fn rows(download: &Download) -> impl Iterator<Item = Vec<String>> {
    let Download {
        statements, lines, ..
    } = download;
    let mut lines = lines.iter().peekable();
    statements.iter().flat_map(move |statement| {
        let mut hash = statement.previous_hash;
        let mut rows = Vec::new();
        while let Some(line) = lines.next_if(|line| line.date == statement.name.date) {
            hash = hash.then(line);
            rows.push(row(line, hash, statement.time_zone).to_vec());
        }
        rows
    })
}

fn row(line: &Line, hash: LineHash, zone: Zone) -> [String; COLUMNS] {
    let local = line.at.with_timezone(&zone.0);
    let kind = match line.kind {
        LineKind::Capture => "核销",
        LineKind::Reversal => "撤销",
        LineKind::Other => "其他",
        LineKind::Adjustment => "调整",
    };
    let dispute = line.dispute.as_ref();
    let [
        date,
        number,
        kind_en,
        entry,
        redemption,
        offer,
        title,
        quantity,
        points,
        balance,
        at,
        adjusts,
    ] = line.cells();
    [
        date,
        number,
        kind_en,
        entry,
        redemption,
        offer,
        title,
        quantity,
        points,
        balance,
        at,
        adjusts,
        hash.to_string(),
        local.to_rfc3339_opts(SecondsFormat::Secs, false),
        kind.to_owned(),
        dispute
            .map(|dispute| dispute.state().to_uppercase())
            .unwrap_or_default(),
    ]
}

fn totals(statement: &Statement) -> Vec<String> {
    let state = match statement.state {
        StatementState::Open => "未结 OPEN",
        StatementState::Empty => "无交易 EMPTY",
        StatementState::Closed => "已结 CLOSED",
        StatementState::Disputed => "有异议 DISPUTED",
        StatementState::Confirmed => "已确认 CONFIRMED",
        StatementState::Paid => "已付款 PAID",
    };
    let confirmed = statement.confirmed.as_ref().map(|deed| deed.by.clone());
    let paid = statement.paid.as_ref();
    vec![
        statement.name.date.to_string(),
        state.to_owned(),
        statement.line_count.to_string(),
        statement.opening_balance.to_string(),
        statement.totals.captured.to_string(),
        statement.totals.reversed.to_string(),
        statement.totals.other.to_string(),
        statement.closing_balance.to_string(),
        statement.totals.adjusted.to_string(),
        statement.payable().unwrap_or_default().to_string(),
        statement.previous_hash.to_string(),
        statement.hash.to_string(),
        confirmed.unwrap_or_default(),
        paid.map(|paid| paid.deed.by.clone()).unwrap_or_default(),
        paid.map(|paid| paid.reference.clone()).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};
    use sha2::{Digest, Sha256};
    use uuid::Uuid;

    use super::*;
    use crate::domain::{KnownStep, MerchantAccount, Posting, Settlement};

    /// Two days of a shop whose offer has a title that a spreadsheet would run.
    fn download() -> Download {
        let of = MerchantAccount {
            community: Uuid::from_u128(1),
            programme: Uuid::from_u128(4),
            merchant: Uuid::from_u128(3),
        };
        let mut settlement = Settlement {
            of,
            asset: "points".into(),
            time_zone: Zone(chrono_tz::Asia::Shanghai),
            next_date: NaiveDate::default(),
            last_sequence: 0,
            balance: 0,
            hash: of.seed(),
        };
        let mut download = Download {
            number: "M/01 号".into(),
            statements: vec![],
            lines: vec![],
        };
        for (day, title) in (1..).zip(["=HYPERLINK(\"x\")", "'引号, \"双引号\""]) {
            let date = NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
            let mut statement = Statement::begin(&settlement, date);
            for points in [30, -30] {
                let sequence = statement.last_sequence + 1;
                let posting = Posting {
                    sequence,
                    points,
                    balance: statement.closing_balance + points,
                    at: settlement.time_zone.start_of(date).unwrap(),
                    description: String::new(),
                };
                let known = KnownStep {
                    sequence,
                    is_reversal: points < 0,
                    redemption: Uuid::from_u128(7),
                    offer: Uuid::from_u128(2),
                    title: title.into(),
                    quantity: 1,
                };
                download
                    .lines
                    .push(statement.post(posting, Some(known)).unwrap());
            }
            settlement.last_sequence = statement.last_sequence;
            settlement.hash = statement.hash;
            download.statements.push(statement);
        }
        download
    }

    fn made(form: FileForm) -> pb::DownloadStatementsResponse {
        let days = |day| NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        file(form, (days(1), days(31)), &download()).unwrap()
    }

    #[test]
    fn a_csv_is_utf_8_for_excel_and_no_cell_is_a_formula() {
        let file = made(FileForm::Csv);
        assert_eq!(file.file_name, "statements-M01-2026-03-01-2026-03-31.csv");
        assert_eq!(file.content_type, "text/csv; charset=utf-8");
        let text = file.content.strip_prefix(b"\xef\xbb\xbf").unwrap();
        let text = std::str::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines.len(), 6, "a heading, four lines and the end");
        assert!(lines[0].starts_with("日期 Date,行号 Line,"));
        assert!(
            lines[1].contains(r#","'=HYPERLINK(""x"")",1,30,30,2026-02-28T16:00:00.000000Z,,"#)
        );
        assert!(lines[1].ends_with(",2026-03-01T00:00:00+08:00,核销,"));
        assert!(
            lines[2].contains(",1,-30,0,"),
            "a number is a number: {}",
            lines[2]
        );
        assert!(
            lines[3].contains(r#","''引号, ""双引号""","#),
            "{}",
            lines[3]
        );
    }

    #[test]
    fn anybody_can_compute_the_hashes_from_the_csv() {
        let (file, download) = (made(FileForm::Csv), download());
        let mut reader = csv::Reader::from_reader(&file.content[3..]);
        let mut hash = download.statements[0].previous_hash.to_string();
        let mut rows = 0;
        for record in reader.records() {
            let record = record.unwrap();
            let mut bytes = hash;
            for (column, cell) in record.iter().take(12).enumerate() {
                let cell = if column == 6 {
                    cell.strip_prefix('\'').unwrap_or(cell)
                } else {
                    cell
                };
                bytes += &format!("\t{cell}");
            }
            let digest = Sha256::digest(bytes);
            hash = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hash, record[12]);
            rows += 1;
        }
        assert_eq!(rows, 4);
        assert_eq!(hash, download.statements[1].hash.to_string());
    }

    #[test]
    fn a_workbook_has_the_same_lines_and_the_totals() {
        let file = made(FileForm::Xlsx);
        assert!(file.file_name.ends_with(".xlsx"));
        let mut workbook: Xlsx<_> =
            calamine::open_workbook_from_rs(Cursor::new(file.content)).unwrap();
        let lines = workbook.worksheet_range("明细 Lines").unwrap();
        assert_eq!(lines.get_size(), (5, COLUMNS));
        let cell = |row, column| lines.get_value((row, column)).unwrap().clone();
        assert_eq!(cell(0, 0), Data::String("日期 Date".into()));
        assert_eq!(cell(1, 6), Data::String("=HYPERLINK(\"x\")".into()));
        assert_eq!(cell(2, 8), Data::Float(-30.0));
        let totals = workbook.worksheet_range("对账单 Statements").unwrap();
        assert_eq!(totals.get_size(), (3, STATEMENTS.len()));
        assert_eq!(totals.get_value((1, 4)), Some(&Data::Float(30.0)));
        let hash = download().statements[1].hash.to_string();
        assert_eq!(totals.get_value((2, 11)), Some(&Data::String(hash)));
    }
}
