//! How a programme's hours are kept honest.

use proto::activity::v1 as act;
use runtime::{Holder, Role};

use crate::{World, date, send};

impl World {
    /// Sets how the programme takes services.
    pub async fn set_service_settings(
        &self,
        settings: act::ServiceSettings,
    ) -> act::ServiceSettings {
        let message = act::SetServiceSettingsRequest {
            name: format!("{}/serviceSettings", self.programme_name()),
            service_settings: Some(settings),
            request_id: self.id(),
            reason: "decided by the committee".to_owned(),
        };
        let office = self.staff("OFFICE").oversight;
        send!(office, set_service_settings, message).unwrap()
    }

    /// What an auditor is shown of a kind.
    pub async fn anomalies(&self, kind: act::ServiceAnomalyKind) -> Vec<act::ServiceAnomaly> {
        let message = act::ListServiceAnomaliesRequest {
            parent: self.programme_name(),
            kind: kind.into(),
            ..Default::default()
        };
        let auditor = self
            .clients
            .of(Holder::everywhere("AUDIT", [Role::Auditor]));
        let answer = send!(auditor.oversight, list_service_anomalies, message);
        answer.unwrap().anomalies
    }

    /// What a neighbour sees of the services that were recorded late this month.
    pub async fn late_services(&self) -> Vec<act::PublicLateService> {
        let message = act::ListPublicLateServicesRequest {
            parent: self.programme_name(),
            date: Some(date(2026, 3, 1)),
            ..Default::default()
        };
        let neighbour = self.clients.of(Holder::everywhere("V9", [Role::Member]));
        let answer = send!(neighbour.oversight, list_public_late_services, message);
        answer.unwrap().services
    }

    /// Shows the attendance list of a service.
    pub async fn show(&self, by: &str, record: &act::ServiceRecord) -> act::ServiceRecord {
        let message = act::AddServiceEvidenceRequest {
            name: record.name.clone(),
            evidence: vec!["lists/2026-03/17".to_owned()],
            request_id: self.id(),
        };
        let desk = self.staff(by).oversight;
        send!(desk, add_service_evidence, message).unwrap()
    }
}
