//! What was lately asked about members, so that activity need not be asked by each call of a till. An audience that a member has left is
//! open to them for [`FRESH`] at most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::domain::{Member, Name};

/// For how long what was said of a member counts.
const FRESH: TimeDelta = TimeDelta::seconds(10);
/// With so many, those that no longer count are forgotten, and all when that is not enough.
const MANY: usize = 50_000;

/// Members by community and id, as activity described them, and when.
type Known = HashMap<(Uuid, Uuid), (Member, DateTime<Utc>)>;

/// What is known of members. Clones share everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(Arc<Mutex<Known>>);

impl Members {
    /// A member that was asked about lately.
    pub fn known(&self, name: Name, now: DateTime<Utc>) -> Option<Member> {
        let known = self.0.lock().expect("no holder of this lock panics");
        let (member, at) = known.get(&(name.community, name.id))?;
        is_fresh(*at, now).then_some(*member)
    }

    /// Keeps what activity has said.
    pub fn know(&self, name: Name, member: Member, now: DateTime<Utc>) {
        let mut known = self.0.lock().expect("no holder of this lock panics");
        if known.len() >= MANY {
            known.retain(|_, (_, at)| is_fresh(*at, now));
        }
        if known.len() >= MANY {
            known.clear();
        }
        known.insert((name.community, name.id), (member, now));
    }
}

fn is_fresh(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - at < FRESH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MemberKind;

    #[test]
    fn what_was_said_of_a_member_counts_for_ten_seconds() {
        let members = Members::default();
        let name = Name {
            community: Uuid::from_u128(1),
            id: Uuid::from_u128(2),
        };
        let courier = Member {
            kind: MemberKind::Courier,
            birth_year: None,
            is_erased: false,
        };
        let now = DateTime::UNIX_EPOCH;
        members.know(name, courier, now);
        let almost = now + TimeDelta::milliseconds(9_999);
        assert_eq!(members.known(name, almost), Some(courier));
        assert_eq!(members.known(name, now + TimeDelta::seconds(10)), None);
    }
}
