//! Who may call a method, as its contract says in the option `linli.access.v1.callers`.

use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage};

use super::{Role, Roles};
use crate::Problem;

const OPTION: &str = "linli.access.v1.callers";

/// Who may call a method, and about what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callers {
    /// About anything in their communities.
    pub community: Roles,
    /// Only about what is their own.
    pub own: Roles,
    /// Nobody needs a token.
    pub anyone: bool,
}

impl Callers {
    /// What the contract says of a method; one that says nothing is a mistake in the contract.
    pub fn of(method: &MethodDescriptor) -> Result<Self, Problem> {
        let wrong = |why: &str| {
            let service = method.parent_service();
            Problem::new(format!(
                "the contract of {}/{} {why}",
                service.full_name(),
                method.name()
            ))
        };
        let unsaid = || wrong("does not say who may call it (linli.access.v1.callers)");
        let pool = method.parent_pool();
        let option = pool.get_extension_by_name(OPTION).ok_or_else(unsaid)?;
        let options = method.options();
        if !options.has_extension(&option) {
            return Err(unsaid());
        }
        let value = options.get_extension(&option);
        let message = value.as_message().ok_or_else(unsaid)?;
        let callers = Self {
            community: roles(message, "community").ok_or_else(|| wrong("names an unknown role"))?,
            own: roles(message, "own").ok_or_else(|| wrong("names an unknown role"))?,
            anyone: message
                .get_field_by_name("anyone")
                .and_then(|value| value.as_bool())
                .unwrap_or_default(),
        };
        let nobody = !callers.anyone && callers.community.is_empty() && callers.own.is_empty();
        let twice = !callers.community.and(callers.own).is_empty();
        let ownerless = callers.own.iter().any(|role| role.owns().is_empty());
        match (nobody, twice, ownerless) {
            (false, false, false) => Ok(callers),
            (true, ..) => Err(wrong("lets nobody call it")),
            (_, true, _) => Err(wrong("names a role twice")),
            (.., true) => Err(wrong("limits a role to its own that owns nothing")),
        }
    }
}

fn roles(message: &DynamicMessage, field: &str) -> Option<Roles> {
    let value = message.get_field_by_name(field)?;
    let descriptor = message.descriptor().get_field_by_name(field)?;
    let names = descriptor.kind().as_enum()?.clone();
    let roles = value.as_list()?.iter().map(|number| {
        let name = names.get_value(number.as_enum_number()?)?;
        let name = name.name().strip_prefix("ROLE_")?.to_ascii_lowercase();
        name.parse::<Role>().ok()
    });
    roles.collect::<Option<Vec<Role>>>().map(Roles::from_iter)
}
