-- Steps and transitions are written under the lock of their redemption by a writer that has read it, or made it in the same transaction, and a
-- redemption is only removed together with its one step. Checking that again for each row reads, on a table that nobody has analyzed yet, all
-- redemptions of the community.
alter table redemption.operation drop constraint operation_redemption_fk;
alter table redemption.transition drop constraint transition_redemption_fk;
