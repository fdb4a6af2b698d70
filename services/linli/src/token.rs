//! `token`: tokens for trying out, from the issuer of a `linli up`. The services of `linli serve` refuse them.

use chrono::TimeDelta;
use runtime::{Clock, Holder, Problem};

use crate::{cli::TokenArgs, key, terminal};

/// Prints a token.
pub fn print(args: &TokenArgs) -> Result<(), Problem> {
    let Some(minter) = key::find_issuer_in_folder(&args.data)? else {
        return Err(Problem::new(format!(
            "{} is no data folder of `linli up`: start it there first, or name another --data",
            args.data.display()
        )));
    };
    let subject = args
        .subject
        .as_deref()
        .or(args.roles.first().map(|role| role.name()));
    let roles = args.roles.iter().copied();
    let mut holder = Holder::everywhere(subject.unwrap_or_default(), roles);
    if !args.communities.is_empty() {
        holder.communities = args.communities.iter().map(ToString::to_string).collect();
    }
    holder.resources.clone_from(&args.resources);
    let life = TimeDelta::minutes(i64::from(args.minutes));
    terminal::print(minter.mint(&holder, Clock::system().now(), life))
}
