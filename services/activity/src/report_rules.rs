//! The rules by which programmes take problem reports: look at them, set them.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Activity, Error,
    answer::Turn,
    domain::{
        Community,
        call::Call,
        event::{Happened, NewEvent},
        refusal::{Refusal, Resource},
        report_rules::{Changed, Rules, RulesOf},
    },
    store,
};

impl Activity {
    /// Returns the rules of a programme; the defaults, when nobody has set any.
    pub(crate) async fn get_report_settings(
        &self,
        community: Community,
        programme: Uuid,
    ) -> Result<RulesOf, Error> {
        self.get_programme(community, programme).await?;
        let found = store::report_rules::find(&self.pool, community, programme).await?;
        Ok(found.unwrap_or_else(|| RulesOf {
            community,
            programme,
            rules: Rules::default(),
            changed: None,
        }))
    }

    /// Sets the rules of a programme from now on.
    pub(crate) async fn set_report_settings(
        &self,
        call: &Call,
        programme: Uuid,
        rules: Rules,
    ) -> Result<RulesOf, Error> {
        let mut tx = match self.turn(call).await? {
            Turn::First(tx) => tx,
            Turn::Again(answer) => return Ok(answer),
        };
        let outcome = self.set_rules(&mut tx, call, programme, rules).await;
        self.conclude(tx, call, outcome).await
    }

    async fn set_rules(
        &self,
        tx: &mut PgConnection,
        call: &Call,
        programme: Uuid,
        rules: Rules,
    ) -> Result<RulesOf, Error> {
        let community = call.community;
        store::programme::find(&mut *tx, community, programme)
            .await?
            .ok_or(Refusal::NotFound {
                resource: Resource::Programme,
                id: programme,
            })?;
        let changed = Changed {
            by: call.by.subject.clone(),
            at: self.clock.now(),
        };
        store::report_rules::set(&mut *tx, (community, programme), &rules, &changed).await?;
        let event = NewEvent::of_settings(Happened::ReportSettingsSet, programme);
        store::event::insert(tx, community, &[event]).await?;
        Ok(RulesOf {
            community,
            programme,
            rules,
            changed: Some(changed),
        })
    }
}
