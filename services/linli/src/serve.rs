//! `serve`: single services against a database that somebody else runs, as in production.

use runtime::{Clock, Ids, Problem};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::ServeArgs,
    key,
    role::{Parts, Prepared, Role},
    signals::Signals,
};

/// Serves until a signal comes or one of the services fails, then drains them all.
pub async fn run(args: ServeArgs) -> Result<(), Problem> {
    let mut signals = Signals::catch()?;
    let places = places(&args)?;
    let parts = parts(&args, &places)?;
    let stop = CancellationToken::new();

    // All ports first: a port that is taken should be told before anything has begun.
    let mut bound: Vec<(Role, TcpListener)> = Vec::new();
    for (role, address) in &places {
        bound.push((*role, runtime::listen(address).await?));
    }
    let mut services = JoinSet::new();
    for (role, listener) in bound {
        let prepared = tokio::select! {
            prepared = Prepared::new(role, parts.clone(), stop.clone()) => prepared?,
            () = signals.wait() => return Ok(()),
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!("{} serves at {address}", role.name());
        }
        services.spawn(prepared.run(listener));
    }

    let mut outcome = Ok(());
    tokio::select! {
        () = signals.wait() => signals.end_at_once_from_now_on(),
        Some(ended) = services.join_next() => outcome = result(ended),
    }
    stop.cancel();
    while let Some(ended) = services.join_next().await {
        outcome = outcome.and(result(ended));
    }
    outcome
}

fn result(ended: Result<Result<(), Problem>, tokio::task::JoinError>) -> Result<(), Problem> {
    ended.unwrap_or_else(|error| Err(Problem::new(format!("a service broke down: {error}"))))
}

/// Where each of the services listens.
fn places(args: &ServeArgs) -> Result<Vec<(Role, String)>, Problem> {
    let mut roles = args.roles.clone();
    roles.sort_unstable();
    roles.dedup();
    let listen = args.listen.as_deref().filter(|text| !text.is_empty());
    if let ([role], Some(address)) = (&roles[..], listen) {
        return Ok(vec![(*role, address.to_owned())]);
    }
    let host = match listen {
        None => "127.0.0.1",
        Some(address) => match address.rsplit_once(':') {
            Some((host, _)) => host,
            None => {
                return Err(Problem::new(format!(
                    "LINLI_LISTEN is not like 0.0.0.0:7401: {address}"
                )));
            }
        },
    };
    let place = |role: Role| (role, format!("{host}:{}", role.default_port()));
    Ok(roles.into_iter().map(place).collect())
}

/// A service in this process is found by itself; any other has to be named.
fn parts(args: &ServeArgs, places: &[(Role, String)]) -> Result<Parts, Problem> {
    let find = |role: Role, given: &Option<String>, variable: &str, callers: &[Role]| {
        if let Some(url) = given.as_deref().filter(|url| !url.is_empty()) {
            return Ok(url.to_owned());
        }
        if let Some((_, address)) = places.iter().find(|(place, _)| *place == role) {
            // A server that listens everywhere is called on loopback.
            let address = address.replace("0.0.0.0:", "127.0.0.1:");
            return Ok(format!("http://{}", address.replace("[::]:", "[::1]:")));
        }
        match places.iter().find(|(place, _)| callers.contains(place)) {
            None => Ok(String::new()),
            Some((caller, _)) => Err(Problem::new(format!(
                "{} calls {}: set {variable}, as in http://{}:{}",
                caller.name(),
                role.name(),
                role.name(),
                role.default_port()
            ))),
        }
    };
    let callers = [Role::Activity, Role::Redemption];
    let clock = Clock::system();
    Ok(Parts {
        ledger_url: find(Role::Ledger, &args.ledger_url, "LINLI_LEDGER_URL", &callers)?,
        activity_url: find(
            Role::Activity,
            &args.activity_url,
            "LINLI_ACTIVITY_URL",
            &callers[1..],
        )?,
        database_url: args.database.url()?.to_owned(),
        signer: key::configured(args.ledger_key.as_deref())?,
        ids: Ids::new(clock.clone()),
        clock,
        origins: args.origins.named(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{DatabaseArgs, OriginArgs};

    fn args(roles: &[Role], listen: Option<&str>) -> ServeArgs {
        ServeArgs {
            roles: roles.to_vec(),
            database: DatabaseArgs {
                database_url: Some("postgres://linli@localhost/linli".to_owned()),
            },
            listen: listen.map(str::to_owned),
            ledger_key: None,
            ledger_url: None,
            activity_url: None,
            origins: OriginArgs::default(),
        }
    }

    #[test]
    fn one_service_listens_where_it_is_told() {
        let places = places(&args(&[Role::Activity], Some("0.0.0.0:9000"))).unwrap();
        assert_eq!(places, [(Role::Activity, "0.0.0.0:9000".to_owned())]);
    }

    #[test]
    fn several_services_share_the_host_and_keep_their_ports() {
        let args = args(&[Role::Redemption, Role::Ledger], Some("0.0.0.0:9000"));
        let places = places(&args).unwrap();
        assert_eq!(
            places,
            [
                (Role::Ledger, "0.0.0.0:7401".to_owned()),
                (Role::Redemption, "0.0.0.0:7403".to_owned())
            ]
        );
    }

    #[test]
    fn a_service_elsewhere_has_to_be_named() {
        let args = args(&[Role::Ledger, Role::Redemption], None);
        let problem = parts(&args, &places(&args).unwrap()).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "redemption calls activity: set LINLI_ACTIVITY_URL, as in http://activity:7402"
        );
    }

    #[test]
    fn a_service_in_the_same_process_is_found_on_loopback() {
        let args = args(&Role::ALL, Some("0.0.0.0:0"));
        let parts = parts(&args, &places(&args).unwrap()).unwrap();
        assert_eq!(parts.ledger_url, "http://127.0.0.1:7401");
        assert_eq!(parts.activity_url, "http://127.0.0.1:7402");
    }
}
