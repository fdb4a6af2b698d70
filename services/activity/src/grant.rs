//! Grants: decided with a verification, taken back with a revocation, looked at and explained.

use chrono::{DateTime, Months, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error, Page,
    domain::{
        Community,
        calendar::{local_date, month_start},
        event::NewEvent,
        explain::Explained,
        grant::{self, Basis, Grant, GrantFilter, GrantState},
        notice::{self, NewNotice},
        policy::{Deed, Effort, OutOfRange},
        programme::{Programme, Totals},
        refusal::{Refusal, Resource},
        revision::RevisionKey,
        service_record::ServiceRecord,
    },
    store::{
        self,
        grant::Move,
        outbox::{Kind, NewRow},
    },
};

/// Who earns by which deed.
pub(crate) struct Earner<'a> {
    pub(crate) community: Community,
    /// The service record or the report.
    pub(crate) deed: Uuid,
    pub(crate) programme: Uuid,
    pub(crate) member: Uuid,
    pub(crate) category: &'a str,
    pub(crate) effort: Effort<'a>,
    /// The start of a service; when a report was submitted.
    pub(crate) done_at: DateTime<Utc>,
    /// What is said when the arithmetic leaves the range of amounts.
    pub(crate) out_of_range: Refusal,
}

impl<'a> Earner<'a> {
    /// The member who served, by what was verified.
    pub(crate) fn of_service(record: &'a ServiceRecord) -> Self {
        Self {
            community: record.community,
            deed: record.id,
            programme: record.programme,
            member: record.member,
            category: &record.category,
            effort: Effort::Service {
                role: record.role,
                minutes: record.minutes,
            },
            done_at: record.started_at,
            out_of_range: Refusal::AmountOutOfRange { record: record.id },
        }
    }
}

impl Activity {
    /// Decides what a deed earns and returns the grant's id. The member is locked already; the programme's lock
    /// makes its grants come one after another, each seeing what the ones before left of caps and budget.
    pub(crate) async fn decide_grant(
        &self,
        tx: &mut PgConnection,
        earner: Earner<'_>,
        now: DateTime<Utc>,
    ) -> Result<Uuid, Error> {
        let community = earner.community;
        let no_programme = Refusal::NotFound {
            resource: Resource::Programme,
            id: earner.programme,
        };
        let totals = store::programme::lock(&mut *tx, community, earner.programme)
            .await?
            .ok_or_else(|| no_programme.clone())?;
        let programme = store::programme::find(&mut *tx, community, earner.programme)
            .await?
            .ok_or(no_programme)?;
        let revision = store::policy::find_active(&mut *tx, community, programme.id).await?;
        let date = local_date(earner.done_at, programme.time_zone);
        let month = month_start(date);
        let whose = (earner.programme, earner.member);
        let dates = month..month + Months::new(1);
        let earlier = store::grant::list_counted(&mut *tx, community, whose, dates).await?;
        let deed = Deed {
            category: earner.category,
            effort: earner.effort,
            local_date: date,
        };
        let basis = Basis {
            programme: &programme,
            totals: &totals,
            policy: revision.as_ref().map(|revision| &revision.policy),
            earlier: &earlier,
            now,
        };
        let decision = grant::decide(&deed, &basis).map_err(|OutOfRange| earner.out_of_range)?;
        let grant = Grant {
            community,
            id: self.ids.next(),
            programme: programme.id,
            member: earner.member,
            record: earner.deed,
            revision: revision.as_ref().map(|revision| revision.id),
            source: earner.effort.source(),
            local_date: date,
            amount: decision.amount,
            expires_at: decision.expires_at,
            state: decision.state,
            counted: if decision.state == GrantState::Pending {
                decision.amount
            } else {
                0
            },
            entry_sequence: None,
            revoked_amount: 0,
            created_at: now,
            granted_at: None,
            posting: 0,
        };
        store::grant::insert(&mut *tx, &grant, &decision.arithmetic).await?;
        let event = NewEvent::of_grant(grant.id, grant.member, grant.state);
        store::event::insert(&mut *tx, community, &[event]).await?;
        store::programme::set_totals(&mut *tx, community, programme.id, &decision.totals).await?;
        if grant.state == GrantState::Pending {
            tell_ledger(tx, Kind::Post, &grant, now).await?;
        }
        Ok(grant.id)
    }

    /// Takes back what a revoked record earned: at once when the ledger has never heard of it, else through the ledger.
    pub(crate) async fn revoke_grant(
        &self,
        tx: &mut PgConnection,
        record: &ServiceRecord,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let community = record.community;
        let totals = store::programme::lock(&mut *tx, community, record.programme)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Programme,
                id: record.programme,
            })?;
        // Every verified record has earned a grant, an empty one at least.
        let id = store::grant::find_of_record(&mut *tx, community, record.id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        store::grant::lock(&mut *tx, community, &[id]).await?;
        let grant = store::grant::find(&mut *tx, community, id)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        let unheard = grant.state == GrantState::Pending
            && store::outbox::cancel_post(&mut *tx, community, id, now).await?;
        let Some(step) = grant.revoke(!unheard) else {
            return Ok(());
        };
        store::grant::set_steps(
            &mut *tx,
            community,
            &[Move {
                grant: id,
                step,
                entry: None,
            }],
        )
        .await?;
        let event = NewEvent::of_grant(id, grant.member, step.state);
        store::event::insert(&mut *tx, community, &[event]).await?;
        let programme = store::programme::find(&mut *tx, community, record.programme)
            .await?
            .ok_or(sqlx::Error::RowNotFound)?;
        if let Some(content) = notice::of_revocation(&grant, &step, &programme) {
            let told = NewNotice {
                id: self.ids.next(),
                member: grant.member,
                content,
            };
            store::notice::insert(&mut *tx, community, &[told], now).await?;
        }
        let totals = Totals {
            granted: totals.granted - step.granted_less,
            awaiting: totals.awaiting - step.awaiting_less,
        };
        store::programme::set_totals(&mut *tx, community, record.programme, &totals).await?;
        if step.state == GrantState::Revoking {
            tell_ledger(tx, Kind::Revoke, &grant, now).await?;
        }
        Ok(())
    }

    /// Returns a grant, if it is there.
    pub(crate) async fn find_grant(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Option<Grant>, Error> {
        Ok(store::grant::find(&self.pool, community, id).await?)
    }

    /// Returns a grant.
    pub(crate) async fn get_grant(&self, community: Community, id: Uuid) -> Result<Grant, Error> {
        let grant = self.find_grant(community, id).await?;
        grant.ok_or(
            Refusal::NotFound {
                resource: Resource::Grant,
                id,
            }
            .into(),
        )
    }

    /// Lists a programme's grants by id, or one member's, or those in one state; with the programme.
    pub(crate) async fn list_grants(
        &self,
        filter: GrantFilter,
        after: Uuid,
        size: i64,
    ) -> Result<(Programme, Page<Grant, Uuid>), Error> {
        let programme = self
            .get_programme(filter.community, filter.programme)
            .await?;
        let window = Page::<Grant, _>::window(after, size);
        let rows = store::grant::list(&self.pool, filter, window).await?;
        Ok((programme, Page::cut(rows, size, |grant| grant.id)))
    }

    /// Explains a grant from the arithmetic that was kept with it.
    pub(crate) async fn explain_grant(
        &self,
        community: Community,
        id: Uuid,
    ) -> Result<Explained, Error> {
        let grant = self.get_grant(community, id).await?;
        let arithmetic = store::grant::find_arithmetic(&self.pool, community, id)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Grant,
                id,
            })?;
        let programme = self.get_programme(community, grant.programme).await?;
        let revision_number = match grant.revision {
            Some(revision) => {
                let key = RevisionKey {
                    community,
                    programme: programme.id,
                    revision,
                };
                Some(self.get_policy_revision(key).await?.number)
            }
            None => None,
        };
        Ok(Explained {
            grant,
            arithmetic,
            programme,
            revision_number,
        })
    }
}

async fn tell_ledger(
    tx: &mut PgConnection,
    kind: Kind,
    grant: &Grant,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let traceparent = runtime::current_traceparent();
    let row = NewRow {
        community: grant.community,
        kind,
        grant: grant.id,
        traceparent: traceparent.as_deref(),
        at: now,
    };
    Ok(store::outbox::insert(&mut *tx, &row).await?)
}
