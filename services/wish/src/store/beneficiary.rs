//! The roster: nothing of who somebody is.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Window, find, word};
use crate::domain::{
    Community,
    beneficiary::{Beneficiary, BeneficiaryState, Grade},
};

const GRADES: [(&str, Grade); 3] = [
    ("weekly", Grade::Weekly),
    ("quarterly", Grade::Quarterly),
    ("half_yearly", Grade::HalfYearly),
];
const STATES: [(&str, BeneficiaryState); 2] = [
    ("active", BeneficiaryState::Active),
    ("ended", BeneficiaryState::Ended),
];

struct Row {
    beneficiary_id: Uuid,
    number: String,
    programme_id: Uuid,
    time_zone: String,
    household: Option<String>,
    birth_year: Option<i16>,
    grade: String,
    state: String,
    last_visit_at: Option<DateTime<Utc>>,
    revision: i64,
    created_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    erased_at: Option<DateTime<Utc>>,
}

impl Row {
    fn beneficiary(self, community: Community) -> sqlx::Result<Beneficiary> {
        Ok(Beneficiary {
            community,
            id: self.beneficiary_id,
            number: self.number,
            programme: self.programme_id,
            time_zone: zone(&self.time_zone)?,
            household: self.household,
            birth_year: self.birth_year,
            grade: find(&GRADES, &self.grade)?,
            state: find(&STATES, &self.state)?,
            last_visit_at: self.last_visit_at,
            revision: self.revision,
            created_at: self.created_at,
            ended_at: self.ended_at,
            erased_at: self.erased_at,
        })
    }
}

fn zone(name: &str) -> sqlx::Result<Tz> {
    name.parse()
        .map_err(|_| sqlx::Error::Decode(format!("unknown time zone {name:?}").into()))
}

/// Adds somebody; false when the number is taken.
pub async fn insert(db: impl PgExecutor<'_>, of: &Beneficiary) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        -- wish.beneficiary_insert
        insert into wish.beneficiary
            (community_id, beneficiary_id, number, programme_id, time_zone, household, birth_year, grade, state, last_visit_at,
            due_date, revision, created_at, ended_at, erased_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict on constraint beneficiary_number_unique do nothing
        "#,
        of.community.0,
        of.id,
        of.number,
        of.programme,
        of.time_zone.name(),
        of.household,
        of.birth_year,
        word(&GRADES, &of.grade),
        word(&STATES, &of.state),
        of.last_visit_at,
        of.due_date(),
        of.revision,
        of.created_at,
        of.ended_at,
        of.erased_at,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The next number of the service's own; whoever takes one waits for who took the last.
pub async fn next_number(db: impl PgExecutor<'_>, community: Community) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        -- wish.beneficiary_next_number
        insert into wish.beneficiary_number (community_id, last_number) values ($1, 1)
        on conflict on constraint beneficiary_number_pk do update set last_number = beneficiary_number.last_number + 1
        returning last_number
        "#,
        community.0,
    )
    .fetch_one(db)
    .await
}

/// Keeps somebody as they are until the transaction ends: for whoever changes them.
pub async fn lock(db: impl PgExecutor<'_>, community: Community, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.beneficiary_lock
        select 1 as "one!" from wish.beneficiary where community_id = $1 and beneficiary_id = $2 for no key update
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(())
}

/// The same for whoever only needs that they do not change.
pub async fn lock_shared(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.beneficiary_lock_shared
        select 1 as "one!" from wish.beneficiary where community_id = $1 and beneficiary_id = $2 for share
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(())
}

/// Returns somebody.
pub async fn find_one(
    db: impl PgExecutor<'_>,
    community: Community,
    id: Uuid,
) -> sqlx::Result<Option<Beneficiary>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        -- wish.beneficiary_find
        select beneficiary_id, number, programme_id, time_zone, household, birth_year, grade, state, last_visit_at, revision,
            created_at, ended_at, erased_at
        from wish.beneficiary
        where community_id = $1 and beneficiary_id = $2
        "#,
        community.0,
        id,
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| row.beneficiary(community)).transpose()
}

/// Writes what has changed of somebody.
pub async fn set(db: impl PgExecutor<'_>, of: &Beneficiary) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        -- wish.beneficiary_set
        update wish.beneficiary
        set household = $3, birth_year = $4, grade = $5, state = $6, last_visit_at = $7, due_date = $8, revision = $9,
            ended_at = $10, erased_at = $11
        where community_id = $1 and beneficiary_id = $2
        "#,
        of.community.0,
        of.id,
        of.household,
        of.birth_year,
        word(&GRADES, &of.grade),
        word(&STATES, &of.state),
        of.last_visit_at,
        of.due_date(),
        of.revision,
        of.ended_at,
        of.erased_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Which people a list is of.
#[derive(Debug)]
pub struct RosterFilter {
    pub community: Community,
    /// Empty: every one.
    pub number: String,
    /// Empty: every one.
    pub household: String,
    pub grade: Option<Grade>,
    pub state: Option<BeneficiaryState>,
}

/// A community's roster by id.
pub async fn list(
    db: impl PgExecutor<'_>,
    filter: &RosterFilter,
    window: Window<Uuid>,
) -> sqlx::Result<Vec<Beneficiary>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.beneficiary_list
        select beneficiary_id, number, programme_id, time_zone, household, birth_year, grade, state, last_visit_at, revision,
            created_at, ended_at, erased_at
        from wish.beneficiary
        where community_id = $1 and beneficiary_id > $2
            and ($3 = '' or number = $3)
            and ($4 = '' or household = $4)
            and ($5::text is null or grade = $5)
            and ($6::text is null or state = $6)
        order by beneficiary_id
        limit $7
        "#,
        filter.community.0,
        window.after,
        filter.number,
        filter.household,
        filter.grade.map(|grade| word(&GRADES, &grade)),
        filter.state.map(|state| word(&STATES, &state)),
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let community = filter.community;
    rows.into_iter()
        .map(|row| row.beneficiary(community))
        .collect()
}

/// The time zone of a programme that has somebody on the roster.
pub async fn time_zone(
    db: impl PgExecutor<'_>,
    community: Community,
    programme: Uuid,
) -> sqlx::Result<Option<Tz>> {
    let name = sqlx::query_scalar!(
        r#"
        -- wish.beneficiary_time_zone
        select time_zone from wish.beneficiary
        where community_id = $1 and programme_id = $2 and due_date is not null
        limit 1
        "#,
        community.0,
        programme,
    )
    .fetch_optional(db)
    .await?;
    name.map(|name| zone(&name)).transpose()
}

/// Whose visits are due.
#[derive(Debug)]
pub struct DueFilter {
    pub community: Community,
    pub programme: Uuid,
    pub until: NaiveDate,
    pub grade: Option<Grade>,
}

/// Those whose visit is due up to a date, by that date and id.
pub async fn list_due(
    db: impl PgExecutor<'_>,
    filter: &DueFilter,
    window: Window<(NaiveDate, Uuid)>,
) -> sqlx::Result<Vec<Beneficiary>> {
    let (date, id) = window.after;
    let rows = sqlx::query_as!(
        Row,
        r#"
        -- wish.beneficiary_list_due
        select beneficiary_id, number, programme_id, time_zone, household, birth_year, grade, state, last_visit_at, revision,
            created_at, ended_at, erased_at
        from wish.beneficiary
        where community_id = $1 and programme_id = $2 and due_date <= $3 and (due_date, beneficiary_id) > ($4, $5)
            and ($6::text is null or grade = $6)
        order by due_date, beneficiary_id
        limit $7
        "#,
        filter.community.0,
        filter.programme,
        filter.until,
        date,
        id,
        filter.grade.map(|grade| word(&GRADES, &grade)),
        window.limit,
    )
    .fetch_all(db)
    .await?;
    let community = filter.community;
    rows.into_iter()
        .map(|row| row.beneficiary(community))
        .collect()
}
