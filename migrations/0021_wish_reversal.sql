-- Confirmed pledges that are reversed, suppliers who get the points of a wish, and what wishes are worth.

-- A reversed pledge is a confirmed one with the moment of its reversal, so code that knows no reversals reads it as confirmed.
alter table wish.pledge
    add column reversed_at timestamptz,
    add column reversal_reason text,
    add constraint pledge_reversed_was_confirmed check (reversed_at is null or state = 'confirmed'),
    add constraint pledge_reversed_for_a_reason check ((reversed_at is null) = (reversal_reason is null));
grant update (reversed_at, reversal_reason) on wish.pledge to linli_wish;

-- A fulfilled wish stays so when some of it is reversed.
alter table wish.wish
    add column reversed bigint not null default 0, -- what was confirmed and then reversed; in none of the other sums
    add column supplier_id uuid,                   -- the merchant who gets its points; null = the programme's account for wishes
    add column estimated_value bigint,             -- in fen of CNY; null = not estimated
    drop constraint wish_fulfilled_whole,
    add constraint wish_confirmed_whole_is_fulfilled check (confirmed < target or state in ('fulfilled', 'closed')),
    add constraint wish_fulfilled_was_confirmed_whole check (state not in ('fulfilled', 'closed') or confirmed + reversed >= target),
    add constraint wish_reversed_not_negative check (reversed >= 0),
    add constraint wish_supplier_of_points check (supplier_id is null or unit = 'points'),
    add constraint wish_estimated_value_range check (estimated_value between 1 and 1000000000);
grant update (reversed, estimated_value) on wish.wish to linli_wish;

-- The step that reverses. One that the ledger refused is removed, so that another call may try again.
alter table wish.operation
    drop constraint operation_kind_known,
    add constraint operation_kind_known check (kind in ('hold', 'capture', 'release', 'reverse')),
    add constraint operation_reversal_has_call check (kind <> 'reverse' or request_id is not null);

-- Up to what value, in fen of CNY, wishes of a programme are reviewed and published.
create table wish.value_ceilings (
    community_id uuid        not null,
    programme_id uuid        not null,
    individual   bigint,               -- of wishes of that scope; null = none
    common       bigint,               -- of wishes of that scope; null = none
    updated_at   timestamptz not null,
    constraint value_ceilings_pk primary key (community_id, programme_id),
    constraint value_ceilings_individual_range check (individual between 1 and 1000000000),
    constraint value_ceilings_common_range check (common between 1 and 1000000000)
);
grant select, insert on wish.value_ceilings to linli_wish;
grant update (individual, common, updated_at) on wish.value_ceilings to linli_wish;
