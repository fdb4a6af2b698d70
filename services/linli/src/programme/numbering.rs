//! The ids of a programme: worked out from its own numbers, so that every replay of it makes the same calls.

use uuid::Uuid;

use super::Settings;

/// Under which the ids of all replayed programmes are.
const ROOT: Uuid = Uuid::from_u128(0x6c69_6e6c_6900_4000_8000_7072_6f67_7261);

/// Gives ids and names to everything in a programme.
#[derive(Debug, Clone)]
pub struct Numbering {
    root: Uuid,
    /// `communities/{community}`.
    pub community: String,
    /// The programme's id.
    pub programme_id: Uuid,
    /// `communities/{community}/programmes/{programme}`.
    pub programme: String,
}

impl Numbering {
    /// The numbering of one programme; another one shares nothing with it.
    pub fn new(settings: &Settings) -> Self {
        let root = Uuid::new_v5(&ROOT, settings.id.as_bytes());
        let community_id = Uuid::new_v5(&root, b"community");
        let programme_id = Uuid::new_v5(&root, b"programme");
        let community = format!("communities/{community_id}");
        Self {
            root,
            programme: format!("{community}/programmes/{programme_id}"),
            programme_id,
            community,
        }
    }

    /// The id of a thing of some kind with this number.
    pub fn id(&self, kind: &str, number: &str) -> Uuid {
        Uuid::new_v5(&self.root, format!("{kind}/{number}").as_bytes())
    }

    /// The `request_id` of the call of `method` for this number.
    pub fn request(&self, method: &str, number: &str) -> String {
        self.id(method, number).to_string()
    }

    /// `communities/{community}/{kind}/{id}`.
    pub fn name(&self, kind: &str, number: &str) -> String {
        format!("{}/{kind}/{}", self.community, self.id(kind, number))
    }
}
