-- Persons are sealed: each is encrypted under a data key of their own, which is encrypted under a key that only the configuration holds.
-- A sealed row is empty where the person stood in plain; what an older release still writes in plain is sealed by a loop.
alter table activity.member_person
    add column key_id      text,  -- which key of the configuration; null = in plain still, or erased
    add column wrapped_key bytea, -- the data key
    add column sealed      bytea, -- the person
    add constraint member_person_sealed_whole check (
        (key_id is null) = (wrapped_key is null) and (key_id is null) = (sealed is null)
    ),
    add constraint member_person_sealed_only check (key_id is null or (display_name = '' and phone = ''));
-- Which keys are in use, and whom a key that is replaced still seals.
create index member_person_key on activity.member_person (key_id, community_id);
-- Those to be sealed.
create index member_person_plain on activity.member_person (community_id) where key_id is null and display_name <> '';

-- An erased member has a number and books, and nothing that says who it was.
alter table activity.member
    add column erased_at timestamptz,
    add constraint member_erased_unknown check (erased_at is null or (birth_year is null and team_id is null));

-- Who looked at a person, or erased one, says why.
alter table activity.answer
    add column reason     text,                            -- null = the call asks for none
    add column impersonal boolean not null default false;  -- of CreateMember: neither fingerprint nor answer depends on the person
-- Those of an older release, to be made so.
create index answer_personal on activity.answer (community_id, request_id) where method = 'CreateMember' and not impersonal;

grant update (display_name, phone, key_id, wrapped_key, sealed) on activity.member_person to linli_activity;
grant update (birth_year, team_id, erased_at) on activity.member to linli_activity;
grant update (fingerprint, impersonal) on activity.answer to linli_activity;
