//! Donation drives.

use proto::wish::v1 as pb;
use runtime::{Access, timestamp};
use tonic::{Request, Status};
use uuid::Uuid;

use super::{Place, call, chosen_id, community, fields, optional_enumeration, required, resource};
use crate::{
    Wishes,
    domain::{
        Community,
        drive::{Drive, DriveState},
    },
};

pub(super) const DRIVES: &str = "donationDrives";
const MAX_PACKS: i64 = 1_000_000;

pub(super) async fn create(
    wishes: &Wishes,
    request: Request<pb::CreateDonationDriveRequest>,
) -> Result<pb::DonationDrive, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.parent[..]);
    let call = call(&access, about, request_id, "CreateDonationDrive", &request);
    let id = chosen_id(&mut fields, "donation_drive_id", &request.donation_drive_id);
    let drive = required(&mut fields, "donation_drive", request.donation_drive);
    let drive = Drive {
        community,
        id: id.unwrap_or_else(|| wishes.ids.next()),
        donor: fields.text("donation_drive.donor", &drive.donor, 120),
        title: fields.text("donation_drive.title", &drive.title, 120),
        pack: fields.text("donation_drive.pack", &drive.pack, 200),
        packs: fields.range("donation_drive.pack_count", drive.pack_count, 1, MAX_PACKS),
        repeat_households: drive.repeat_households,
        handed_over: 0,
        allotted: 0,
        state: DriveState::Open,
        created_at: wishes.now(),
        ended_at: None,
    };
    fields.finish()?;
    Ok(encode(wishes.create_donation_drive(&call, drive).await?))
}

pub(super) async fn get(
    wishes: &Wishes,
    request: Request<pb::GetDonationDriveRequest>,
) -> Result<pb::DonationDrive, Status> {
    let access = Access::of(&request);
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.get_ref().name, DRIVES);
    fields.finish()?;
    Ok(encode(wishes.get_donation_drive(community, id).await?))
}

pub(super) async fn list(
    wishes: &Wishes,
    request: Request<pb::ListDonationDrivesRequest>,
) -> Result<pb::ListDonationDrivesResponse, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let community = community(&mut fields, "parent", &request.parent);
    let state = optional_enumeration(&mut fields, "state", request.state);
    let state = state.and_then(|state| match state {
        pb::DonationDriveState::Unspecified => None,
        pb::DonationDriveState::Open => Some(DriveState::Open),
        pb::DonationDriveState::Closed => Some(DriveState::Closed),
    });
    let query = format!("ListDonationDrives {} {state:?}", request.parent);
    let place = Place::read(&mut fields, query, (request.page_size, &request.page_token));
    fields.finish()?;
    let after = place.after.unwrap_or(Uuid::nil());
    let page = wishes
        .list_donation_drives(community, state, after, place.size)
        .await?;
    Ok(pb::ListDonationDrivesResponse {
        next_page_token: place.next_page_token(&page),
        donation_drives: page.items.into_iter().map(encode).collect(),
    })
}

pub(super) async fn close(
    wishes: &Wishes,
    request: Request<pb::CloseDonationDriveRequest>,
) -> Result<pb::DonationDrive, Status> {
    let access = Access::of(&request);
    let request = request.into_inner();
    let mut fields = fields(&access);
    let (community, id) = resource(&mut fields, "name", &request.name, DRIVES);
    let request_id = fields.request_id(&request.request_id);
    let about = (community, &request.name[..]);
    let call = call(&access, about, request_id, "CloseDonationDrive", &request);
    fields.finish()?;
    Ok(encode(wishes.close_donation_drive(&call, id).await?))
}

fn encode(drive: Drive) -> pb::DonationDrive {
    let state = match drive.state {
        DriveState::Open => pb::DonationDriveState::Open,
        DriveState::Closed => pb::DonationDriveState::Closed,
    };
    pb::DonationDrive {
        name: name(drive.community, drive.id),
        left_count: drive.left(),
        donor: drive.donor,
        title: drive.title,
        pack: drive.pack,
        pack_count: drive.packs,
        repeat_households: drive.repeat_households,
        state: state.into(),
        handed_over_count: drive.handed_over,
        allotted_count: drive.allotted,
        create_time: Some(timestamp(drive.created_at)),
        end_time: drive.ended_at.map(timestamp),
    }
}

pub(super) fn name(community: Community, id: Uuid) -> String {
    format!("communities/{}/{DRIVES}/{id}", community.0)
}
