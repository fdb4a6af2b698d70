-- Accounts and lots refer to rows that are never deleted, and only a writer that holds the journal's lock and has read those rows adds
-- one. Checking it again in each update of a balance costs a transfer more than it can find; `linli verify` compares every account and lot
-- with the history. The same holds for entries, which never had these keys.
alter table ledger.account
    drop constraint account_asset_fk,
    drop constraint account_expiry_account_fk;
alter table ledger.lot drop constraint lot_account_fk;
