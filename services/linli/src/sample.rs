//! The sample community of `up`: a programme, a merchant and an offer, so that there is something to try at once.
//!
//! Its ids are written down in the data folder before it is made, and every step can be repeated: an interrupted first
//! start is finished by the next.

use std::{fs, io, path::Path};

use proto::{activity::v1 as act, google::r#type::Date, redemption::v1 as red};
use runtime::{Ids, Problem};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{call, rpc, system::Clients};

const FILE: &str = "sample.json";

/// Where everything of the sample is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Id of its community.
    pub community: Uuid,
    /// Id of its programme, which grants 10 points an hour.
    pub programme: Uuid,
    /// Id of its merchant.
    pub merchant: Uuid,
    /// Id of its offer, which costs 5 points.
    pub offer: Uuid,
}

impl Sample {
    /// Finds the sample of a data folder, or makes it.
    pub async fn ensure(folder: &Path, ids: &Ids, clients: &Clients) -> Result<Self, Problem> {
        let sample = Self::remembered(folder, ids)?;
        if !sample.is_made(clients).await? {
            sample
                .make(clients)
                .await
                .map_err(|status| rpc::failure("can't make the sample community", &status))?;
        }
        Ok(sample)
    }

    /// `communities/{community}`.
    pub fn community_name(&self) -> String {
        format!("communities/{}", self.community)
    }

    /// `communities/{community}/programmes/{programme}`.
    pub fn programme_name(&self) -> String {
        format!("{}/programmes/{}", self.community_name(), self.programme)
    }

    /// `communities/{community}/merchants/{merchant}`.
    pub fn merchant_name(&self) -> String {
        format!("{}/merchants/{}", self.community_name(), self.merchant)
    }

    /// `communities/{community}/offers/{offer}`.
    pub fn offer_name(&self) -> String {
        format!("{}/offers/{}", self.community_name(), self.offer)
    }

    fn remembered(folder: &Path, ids: &Ids) -> Result<Self, Problem> {
        let path = folder.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                return serde_json::from_str(&text).map_err(|error| {
                    Problem::new(format!(
                        "{} is damaged: {error}: remove it to get a new sample community",
                        path.display()
                    ))
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Problem::new(format!(
                    "can't read {}: {error}",
                    path.display()
                )));
            }
        }
        let sample = Self {
            community: ids.next(),
            programme: ids.next(),
            merchant: ids.next(),
            offer: ids.next(),
        };
        // Written beside and renamed: the file is there as a whole or not at all.
        let beside = folder.join(format!("{FILE}.new"));
        serde_json::to_string_pretty(&sample)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&beside, text + "\n"))
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|error| Problem::new(format!("can't write {}: {error}", path.display())))?;
        Ok(sample)
    }

    /// The offer is made last, so an offer that runs says that all is there.
    async fn is_made(&self, clients: &Clients) -> Result<bool, Problem> {
        let request = red::GetOfferRequest {
            name: self.offer_name(),
        };
        match call!(clients.redemption, get_offer, request).await {
            Ok(offer) => Ok(offer.state() != red::OfferState::Draft),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(rpc::failure("can't find the sample community", &status)),
        }
    }

    async fn make(&self, clients: &Clients) -> Result<(), Status> {
        self.make_programme(clients).await?;
        self.make_offer(clients).await
    }

    async fn make_programme(&self, clients: &Clients) -> Result<(), Status> {
        let programme = act::CreateProgrammeRequest {
            parent: self.community_name(),
            programme_id: self.programme.to_string(),
            programme: Some(act::Programme {
                display_name: "Neighbours".to_owned(),
                asset: "points".to_owned(),
                time_zone: "Asia/Shanghai".to_owned(),
                ..Default::default()
            }),
            request_id: self.request_id("CreateProgramme"),
        };
        call!(clients.activity, create_programme, programme).await?;
        let draft = act::CreatePolicyRevisionRequest {
            parent: self.programme_name(),
            policy: Some(act::Policy {
                earn_rules: vec![act::EarnRule {
                    source: act::EarnSource::Service.into(),
                    category: "*".to_owned(),
                    urgency: String::new(),
                    rate: Some(act::earn_rule::Rate::PerHour(10)),
                }],
                expiry_months: Some(12),
                ..Default::default()
            }),
            request_id: self.request_id("CreatePolicyRevision"),
        };
        let revision = call!(clients.activity, create_policy_revision, draft).await?;
        let activation = act::ActivatePolicyRevisionRequest {
            name: revision.name,
            request_id: self.request_id("ActivatePolicyRevision"),
        };
        call!(clients.activity, activate_policy_revision, activation).await?;
        Ok(())
    }

    async fn make_offer(&self, clients: &Clients) -> Result<(), Status> {
        let merchant = red::CreateMerchantRequest {
            parent: self.community_name(),
            merchant_id: self.merchant.to_string(),
            merchant: Some(red::Merchant {
                number: "S01".to_owned(),
                display_name: "Corner shop".to_owned(),
                ..Default::default()
            }),
            request_id: self.request_id("CreateMerchant"),
        };
        call!(clients.redemption, create_merchant, merchant).await?;
        let (first, last) = (date(2000, 1, 1), date(2099, 12, 31));
        let agreement = red::CreateAgreementRequest {
            parent: self.merchant_name(),
            agreement: Some(red::Agreement {
                start_date: Some(first),
                end_date: Some(last),
                ..Default::default()
            }),
            request_id: self.request_id("CreateAgreement"),
            ..Default::default()
        };
        call!(clients.redemption, create_agreement, agreement).await?;
        let offer = red::CreateOfferRequest {
            parent: self.community_name(),
            offer_id: self.offer.to_string(),
            offer: Some(red::Offer {
                merchant: self.merchant_name(),
                programme: self.programme_name(),
                title: "A pot of tea".to_owned(),
                points: 5,
                stock: 1_000_000,
                audience: red::Audience::All.into(),
                start_date: Some(first),
                end_date: Some(last),
                ..Default::default()
            }),
            request_id: self.request_id("CreateOffer"),
        };
        call!(clients.redemption, create_offer, offer).await?;
        let activation = red::ActivateOfferRequest {
            name: self.offer_name(),
            request_id: self.request_id("ActivateOffer"),
        };
        call!(clients.redemption, activate_offer, activation).await?;
        Ok(())
    }

    fn request_id(&self, step: &str) -> String {
        Uuid::new_v5(&self.community, step.as_bytes()).to_string()
    }
}

fn date(year: i32, month: i32, day: i32) -> Date {
    Date { year, month, day }
}
