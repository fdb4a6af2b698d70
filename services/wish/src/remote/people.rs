//! What the roster asks of the activity service: a programme's time zone.

use chrono_tz::Tz;
use proto::activity::v1::GetProgrammeRequest;
use runtime::Deadline;
use tonic::Code;
use uuid::Uuid;

use super::{Activity, broken, call};
use crate::{Error, domain::Community};

const SERVICE: &str = "activity";

impl Activity {
    /// Returns the time zone of a programme; nothing when there is no such programme.
    pub(crate) async fn time_zone(
        &self,
        community: Community,
        programme: Uuid,
        deadline: Deadline,
    ) -> Result<Option<Tz>, Error> {
        let message = GetProgrammeRequest {
            name: format!("communities/{}/programmes/{programme}", community.0),
        };
        let mut client = self.members.clone();
        let answer = call(SERVICE, deadline, message, |request| async move {
            client.get_programme(request).await
        });
        let programme = match answer.await? {
            Ok(programme) => programme,
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            Err(status) => return Err(broken(SERVICE, status.message())),
        };
        let zone = programme.time_zone.parse();
        zone.map(Some)
            .map_err(|error| broken(SERVICE, &format!("{error}")))
    }
}
