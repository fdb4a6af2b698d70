//! A payout as a file for whoever pays.

use proto::activity::v1 as pb;
use runtime::{FileForm, Sheet};
use tonic::Status;

use super::payout::{encode, money, name};
use crate::{
    domain::payout::{LineState, Payout},
    payout::{FileLine, Shown},
};

/// The headings of lines: those that the hash covers, the hash, and what is for people.
const LINES: [&str; 9] = [
    "行号 Line",
    "成员 Member",
    "金额(分) Amount (fen)",
    "校验值 Hash",
    "编号 Number",
    "姓名 Name",
    "金额 Amount",
    "结果 Outcome",
    "说明 Note",
];
const SUMS: [&str; 8] = [
    "发放名单 Payout",
    "截止时间(UTC) Cut-off (UTC)",
    "行数 Lines",
    "合计(分) Amount (fen)",
    "合计 Amount",
    "校验值 Hash",
    "制表人 Created by",
    "确认人 Confirmed by",
];

/// Makes the file.
pub(super) fn file(
    form: FileForm,
    shown: Shown,
    lines: &[FileLine],
) -> Result<pb::ExportPayoutResponse, Status> {
    let payout = &shown.payout;
    let rows = lines.iter().map(|line| row(payout, line));
    let lines = Sheet {
        name: "明细 Lines",
        headings: &LINES,
        numbers: &[0, 2],
        rows: Box::new(rows),
    };
    let sums = Sheet {
        name: "合计 Sums",
        headings: &SUMS,
        numbers: &[2, 3],
        rows: Box::new(std::iter::once(sums(&shown))),
    };
    let content = runtime::write_sheets(form, vec![lines, sums]).map_err(|error| {
        tracing::error!("The file of a payout was not made: {error}");
        runtime::internal()
    })?;
    let (day, id) = (payout.created.at.date_naive(), payout.id);
    Ok(pb::ExportPayoutResponse {
        content,
        content_type: form.content_type().to_owned(),
        file_name: format!("payout-{day}-{id}.{}", form.extension()),
        payout: Some(encode(shown)),
    })
}

fn row(payout: &Payout, line: &FileLine) -> Vec<String> {
    let FileLine {
        line,
        hash,
        number,
        name,
        is_damaged,
    } = line;
    let outcome = match line.state {
        LineState::Pending | LineState::Held | LineState::NotHeld => "",
        LineState::Paying | LineState::Paid => "已发放 PAID",
        LineState::Failing | LineState::Failed => "未成功 FAILED",
        LineState::Cancelling | LineState::Cancelled => "已取消 CANCELLED",
    };
    let damaged =
        is_damaged.then_some("姓名已损坏，无法读取 The name is damaged and can't be read");
    let notes = damaged.into_iter().chain([&line.note[..]]);
    let notes: Vec<&str> = notes.filter(|note| !note.is_empty()).collect();
    vec![
        line.number.to_string(),
        super::member::name(payout.community, line.member),
        line.amount.to_string(),
        hash.to_string(),
        number.clone(),
        name.clone().unwrap_or_default(),
        money(payout, line.amount).text_zh(),
        outcome.to_owned(),
        notes.join("; "),
    ]
}

fn sums(shown: &Shown) -> Vec<String> {
    let Shown { payout, sums } = shown;
    let hash = payout.frozen.map(|frozen| frozen.hash.to_string());
    let decided = payout.decided.as_ref().map(|deed| deed.by.clone());
    vec![
        name(payout.community, payout.id),
        payout.cutoff_at.to_rfc3339(),
        sums.lines.to_string(),
        sums.amount.to_string(),
        money(payout, sums.amount).text_zh(),
        hash.unwrap_or_default(),
        payout.created.by.clone(),
        decided.unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use calamine::{Data, Reader, Xlsx};
    use chrono::DateTime;
    use sha2::{Digest, Sha256};
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        Community,
        payout::{Deed, LIFE, Line, PayoutState, Sums},
    };

    fn made(form: FileForm) -> pb::ExportPayoutResponse {
        let line = |number: i32| Line {
            number,
            member: Uuid::from_u128(u128::from(number.unsigned_abs())),
            amount: 10_050,
            state: LineState::Held,
            entry: None,
            note: String::new(),
            steps: Uuid::nil(),
        };
        let lines = [line(1), line(3)];
        let at = DateTime::UNIX_EPOCH;
        let payout = Payout {
            community: Community(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            programme: Uuid::from_u128(3),
            asset: "CNY".to_owned(),
            exponent: 2,
            state: PayoutState::Draft,
            cutoff_at: at,
            minimum: 0,
            more_owed: false,
            created: Deed {
                by: "STAFF01".to_owned(),
                at,
            },
            expires_at: at + LIFE,
            frozen: None,
            exported: None,
            decided: None,
            reason: None,
        };
        let payout = payout.freeze(&lines, at);
        let named = payout.hashes(lines.iter()).map(|(line, hash)| FileLine {
            line: line.clone(),
            hash,
            number: "V000001".to_owned(),
            name: Some("=王小明".to_owned()),
            is_damaged: false,
        });
        let named: Vec<FileLine> = named.collect();
        let sums = Sums {
            lines: 2,
            amount: 20_100,
            ..Sums::default()
        };
        file(form, Shown { payout, sums }, &named).unwrap()
    }

    #[test]
    fn anybody_can_compute_the_hashes_from_the_csv() {
        let file = made(FileForm::Csv);
        let digest = |text: String| -> String {
            let bytes = Sha256::digest(text);
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let payout = file.payout.unwrap();
        let mut hash = digest(payout.name);
        let mut reader = csv::Reader::from_reader(&file.content[3..]);
        let mut rows = 0;
        for record in reader.records() {
            let record = record.unwrap();
            hash = digest(format!(
                "{hash}\t{}\t{}\t{}",
                &record[0], &record[1], &record[2]
            ));
            assert_eq!(hash, record[3]);
            assert_eq!((&record[5], &record[6]), ("'=王小明", "¥100.50"));
            rows += 1;
        }
        assert_eq!((rows, hash), (2, payout.hash));
    }

    #[test]
    fn a_workbook_has_the_lines_and_what_they_add_up_to() {
        let file = made(FileForm::Xlsx);
        assert!(file.file_name.starts_with("payout-1970-01-01-"));
        let mut workbook: Xlsx<_> =
            calamine::open_workbook_from_rs(Cursor::new(file.content)).unwrap();
        let lines = workbook.worksheet_range("明细 Lines").unwrap();
        assert_eq!(lines.get_size(), (3, LINES.len()));
        assert_eq!(lines.get_value((2, 2)), Some(&Data::Float(10_050.0)));
        let sums = workbook.worksheet_range("合计 Sums").unwrap();
        assert_eq!(sums.get_value((1, 3)), Some(&Data::Float(20_100.0)));
        let text = Data::String("¥201.00".to_owned());
        assert_eq!(sums.get_value((1, 4)), Some(&text));
    }
}
