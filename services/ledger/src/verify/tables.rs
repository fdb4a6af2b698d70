//! The tables beside the journal, each compared with what was recomputed.

use chrono::DateTime;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    PAGE, Report,
    chain::Chain,
    replay::{Defined, LimitChange, Replay},
    show,
};
use crate::{
    Error,
    domain::{Account, AccountDefinition, AccountId, AccountKind, AccountLimits, Asset, RequestId},
    proof::leaf::{self, Definition},
    store::{self, AccountQuery, JournalEnds},
};

/// Reads the log of definitions, and compares it with its chain and with the assets.
pub async fn definitions(
    conn: &mut PgConnection,
    report: &mut Report<'_>,
) -> Result<Defined, Error> {
    let mut defined = Defined::default();
    let mut chain = Chain::new("definition", |row| (row.definitions, &row.definitions_hash));
    chain.compare(conn, report).await?;
    let mut after = i64::MIN;
    loop {
        let page = store::definitions_after(conn, report.community, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for definition in page {
            let record = leaf::encode_definition(report.community, &definition);
            chain.push(conn, definition.number, &record, report).await?;
            let number = definition.number;
            if define(&mut defined, definition).is_none() {
                report.differs(
                    "definition",
                    number,
                    "the row",
                    "a whole definition",
                    "missing columns",
                );
            }
        }
    }
    chain.end(report);
    defined.head = chain.head;
    let mut expected = defined.assets.clone();
    for found in store::assets_list(conn, report.community).await? {
        match expected.remove(&found.code) {
            None => report.unexpected("asset", &found.code),
            Some(asset) => {
                report.compare_rows(
                    "asset",
                    &found.code,
                    (&asset, &found),
                    &[
                        ("exponent", |row| show(&row.exponent)),
                        ("created_at", |row| show(&row.created_at)),
                    ],
                );
            }
        }
    }
    for code in expected.into_keys() {
        report.missing("asset", code);
    }
    Ok(defined)
}

fn define(defined: &mut Defined, definition: Definition) -> Option<()> {
    let limits = AccountLimits {
        min_balance: definition.min_balance,
        max_balance: definition.max_balance,
    };
    let account = definition.account_id.map(AccountId);
    match definition.kind {
        Definition::ASSET => {
            let asset = Asset {
                code: definition.asset?,
                exponent: definition.exponent?,
                created_at: definition.recorded_at,
            };
            if defined.assets.is_empty() {
                // It opened the journal.
                defined.book.now = asset.created_at;
            }
            defined.assets.insert(asset.code.clone(), asset);
        }
        Definition::ACCOUNT => {
            let id = account?;
            let account = AccountDefinition {
                id,
                programme: definition.programme_id?,
                asset: definition.asset?,
                kind: AccountKind::try_from(definition.account_kind?).ok()?,
                owner: definition.owner_id,
                expiry_account: definition.expiry_account_id.map(AccountId),
                limits,
            };
            let opened = Account::opened(account, definition.recorded_at);
            defined.book.accounts.insert(id, opened);
        }
        _ => {
            let account = account?;
            let sequence = definition.sequence;
            defined.limits.push_back(LimitChange {
                sequence,
                account,
                limits,
            });
        }
    }
    Some(())
}

/// Compares what the accounts are with the log, and goes on with those that are not in it as they are stored.
pub async fn account_definitions(
    conn: &mut PgConnection,
    replay: &mut Replay,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let mut after = Uuid::nil();
    loop {
        let page = store::account_list(conn, report.community, all_accounts(after)).await?;
        let Some(last) = page.last() else { break };
        after = last.id().0;
        for found in page {
            let key = found.id().0;
            let Some(expected) = replay.book.accounts.get(&found.id()) else {
                report.unexpected("account", key);
                let opened = Account::opened(found.definition, found.created_at);
                replay.book.accounts.insert(opened.id(), opened);
                continue;
            };
            report.compare_rows(
                "account",
                key,
                (expected, &found),
                &[
                    ("programme_id", |row| show(&row.definition.programme)),
                    ("asset", |row| show(&row.definition.asset)),
                    ("kind", |row| show(&row.definition.kind)),
                    ("owner_id", |row| show(&row.definition.owner)),
                    ("expiry_account_id", |row| {
                        show(&row.definition.expiry_account)
                    }),
                    ("created_at", |row| show(&row.created_at)),
                ],
            );
        }
    }
    Ok(())
}

fn all_accounts(after: Uuid) -> AccountQuery {
    AccountQuery {
        programme: None,
        kind: None,
        after,
        limit: PAGE,
    }
}

/// Allocations that no entry has.
pub async fn allocations(
    conn: &mut PgConnection,
    report: &mut Report<'_>,
    after: i64,
    last: i64,
) -> Result<(), Error> {
    for (sequence, position) in
        store::allocations_stray(conn, report.community, after, last).await?
    {
        report.unexpected("allocation", format!("{sequence}, {position}"));
    }
    Ok(())
}

/// The head of the journal.
pub fn journal(ends: Option<JournalEnds>, replay: &Replay, report: &mut Report<'_>) {
    let key = report.community.0;
    let Some(found) = ends else {
        report.missing("journal", key);
        return;
    };
    let next = (replay.last_sequence + 1, found.sequence + 1);
    report.compare("journal", key, "next_sequence", &next.0, &next.1);
    report.compare(
        "journal",
        key,
        "last_definition",
        &replay.definitions,
        &found.definition,
    );
    report.compare(
        "journal",
        key,
        "definitions",
        &replay.limit_changes,
        &found.limit_changes,
    );
    report.compare(
        "journal",
        key,
        "last_recorded_at",
        &replay.book.now,
        &found.recorded_at,
    );
}

/// The accounts with what is on them, their lots, and that the sum over an asset is zero.
pub async fn accounts(
    conn: &mut PgConnection,
    replay: &mut Replay,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let mut expected = std::mem::take(&mut replay.book.accounts);
    let mut sums = std::collections::BTreeMap::<String, i128>::new();
    let mut after = Uuid::nil();
    loop {
        let page = store::account_list(conn, report.community, all_accounts(after)).await?;
        let Some(last) = page.last() else { break };
        after = last.id().0;
        for found in page {
            *sums.entry(found.definition.asset.clone()).or_default() += i128::from(found.balance);
            if let Some(expected) = expected.remove(&found.id()) {
                account(&expected, &found, report);
            }
        }
    }
    let mut missing: Vec<Uuid> = expected.into_keys().map(|id| id.0).collect();
    missing.sort_unstable();
    for id in missing {
        report.missing("account", id);
    }
    for (account, expires_at) in store::lots_stray(conn, report.community).await? {
        report.unexpected("lot", format!("{account}, {expires_at}"));
    }
    for (asset, sum) in sums {
        report.compare(
            "account",
            format!("of asset {asset}"),
            "the sum of balances",
            &0,
            &sum,
        );
    }
    Ok(())
}

fn account(expected: &Account, found: &Account, report: &mut Report<'_>) {
    let key = found.id().0;
    report.compare_rows(
        "account",
        key,
        (expected, found),
        &[
            ("min_balance", |row| {
                show(&row.definition.limits.min_balance)
            }),
            ("max_balance", |row| {
                show(&row.definition.limits.max_balance)
            }),
            ("balance", |row| show(&row.balance)),
            ("held", |row| show(&row.held)),
            ("last_sequence", |row| show(&row.last_sequence)),
            ("entries", |row| show(&row.entries)),
            ("revision", |row| show(&row.revision)),
        ],
    );
    let times: std::collections::BTreeSet<DateTime<chrono::Utc>> = expected
        .lots
        .iter()
        .chain(found.lots.iter())
        .map(|(expires_at, _)| expires_at)
        .collect();
    for expires_at in times {
        let lots = (expected.lots.get(expires_at), found.lots.get(expires_at));
        report.compare_rows(
            "lot",
            format!("{key}, {expires_at}"),
            (&lots.0, &lots.1),
            &[
                ("remaining", |row| show(&row.remaining)),
                ("held", |row| show(&row.held)),
            ],
        );
    }
}

/// The holds.
pub async fn holds(
    conn: &mut PgConnection,
    replay: &mut Replay,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let mut expected = replay.take_holds();
    let mut after = Uuid::nil();
    loop {
        let page = store::holds_after(conn, report.community, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id.0;
        for found in page {
            let key = found.id.0;
            let Some(hold) = expected.remove(&RequestId(key)) else {
                report.unexpected("hold", key);
                continue;
            };
            report.compare_rows(
                "hold",
                key,
                (&hold, &found),
                &[
                    ("sequence", |row| show(&row.sequence)),
                    ("debit_account_id", |row| show(&row.debit)),
                    ("credit_account_id", |row| show(&row.credit)),
                    ("amount", |row| show(&row.amount)),
                    ("captured", |row| show(&row.captured)),
                    ("released", |row| show(&row.released)),
                    ("state", |row| show(&row.state)),
                    ("expires_at", |row| show(&row.expires_at)),
                    ("created_at", |row| show(&row.created_at)),
                ],
            );
        }
    }
    for id in expected.into_keys() {
        report.missing("hold", id.0);
    }
    Ok(())
}

/// The pages of the accounts' statements.
pub async fn pages(
    conn: &mut PgConnection,
    replay: &mut Replay,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let mut expected = std::mem::take(&mut replay.pages);
    let mut after = (Uuid::nil(), i64::MIN);
    loop {
        let page = store::pages_after(conn, report.community, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        for found in page {
            if !expected.remove(&found) {
                report.unexpected("statement_page", format!("{}, {}", found.0, found.1));
            }
        }
    }
    for (account, sequence) in expected {
        report.missing("statement_page", format!("{account}, {sequence}"));
    }
    Ok(())
}

/// The stored refusals and their chain.
pub async fn refusals(
    conn: &mut PgConnection,
    ends: Option<JournalEnds>,
    report: &mut Report<'_>,
) -> Result<(), Error> {
    let mut chain = Chain::new("refusal", |row| (row.refusals, &row.refusals_hash));
    chain.compare(conn, report).await?;
    let mut after = i64::MIN;
    loop {
        let page = store::refusals_after(conn, report.community, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for refusal in page {
            let record = leaf::encode_refusal(report.community, &refusal);
            chain.push(conn, refusal.number, &record, report).await?;
        }
    }
    chain.end(report);
    if let Some(ends) = ends {
        let key = show(&report.community.0);
        report.compare(
            "journal",
            key,
            "last_refusal",
            &chain.head.count,
            &ends.refusal,
        );
    }
    Ok(())
}
