-- What falls due is listed by expiry and account. With the account in the index a page of that needs no sorting, and whichever of the two
-- indexes the planner takes to look a lot up, it reads one row.
drop index ledger.lot_due;
create index lot_due on ledger.lot (community_id, expires_at, account_id);
