//! `serve`: single services against a database that somebody else runs, as in production.

use redemption::Offline;
use runtime::{Authority, Bearer, Clock, Holder, Ids, Issuer, Minter, Problem};
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
    let mut probed = match probes(&args)? {
        Some(address) => Some(runtime::listen(address).await?),
        None => None,
    };
    let mut services = JoinSet::new();
    for (role, listener) in bound {
        let prepared = tokio::select! {
            prepared = Prepared::new(role, parts.clone(), stop.clone()) => prepared?,
            () = signals.wait() => return Ok(()),
        };
        if let Ok(address) = listener.local_addr() {
            tracing::info!("{} serves at {address}", role.name());
        }
        services.spawn(prepared.with_plain_health(probed.take()).run(listener));
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

/// Where health checks are answered in the clear. One port can't speak for several services.
fn probes(args: &ServeArgs) -> Result<Option<&str>, Problem> {
    let address = args.tls.health_listen.as_deref();
    match address.filter(|address| !address.is_empty()) {
        Some(_) if args.roles.len() > 1 => Err(Problem::new(
            "LINLI_HEALTH_LISTEN is for one service: serve each in a process of its own",
        )),
        address => Ok(address),
    }
}

fn parts(args: &ServeArgs, places: &[(Role, String)]) -> Result<Parts, Problem> {
    let clock = Clock::system();
    let database_url = args.database.url()?.to_owned();
    let (ledger_url, activity_url) = addresses(args, places)?;
    let minter = key::services(args.service_key.as_deref())?;
    let service = Holder::everywhere(&names(places), [runtime::Role::Service]);
    let has_persons = places
        .iter()
        .any(|(role, _)| matches!(role, Role::Activity | Role::Wish));
    let person_keys = has_persons
        .then(|| key::persons(args.person_keys.as_deref()))
        .transpose()?;
    Ok(Parts {
        authority: Authority::new(clock.clone(), issuers(args, &minter)?)?,
        bearer: Bearer::minted(minter, service, clock.clone()),
        tls: args.tls.tls(&clock)?,
        roots: args.roots.roots()?,
        database_url,
        ledger_url,
        activity_url,
        signer: key::configured(args.ledger_key.as_deref())?,
        person_keys,
        ids: Ids::new(clock.clone()),
        clock,
        origins: args.origins.named(),
        limits: args.limits.limits(),
        offline: Offline {
            keys: key::offline(args.offline_keys.as_deref())?,
            most_points: args.limits.offline_points,
        },
        emergency_numbers: args.emergency.numbers.clone(),
    })
}

/// Where the ledger and activity are, for those who call them. A service in this process is found by itself; any other has to be named.
fn addresses(args: &ServeArgs, places: &[(Role, String)]) -> Result<(String, String), Problem> {
    let find = |role: Role, given: &Option<String>, variable: &str, callers: &[Role]| {
        if let Some(url) = given.as_deref().filter(|url| !url.is_empty()) {
            return Ok(url.to_owned());
        }
        let here = places.iter().find(|(place, _)| *place == role);
        // Its certificate is hardly for the loopback address, so over TLS it is named as any other.
        if let Some((_, address)) = here.filter(|_| !args.tls.is_on()) {
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
    let callers = [Role::Activity, Role::Redemption, Role::Wish];
    let ledger = find(Role::Ledger, &args.ledger_url, "LINLI_LEDGER_URL", &callers)?;
    let activity = find(
        Role::Activity,
        &args.activity_url,
        "LINLI_ACTIVITY_URL",
        &callers[1..],
    )?;
    Ok((ledger, activity))
}

/// Those whom the configuration trusts, and the services themselves.
fn issuers(args: &ServeArgs, minter: &Minter) -> Result<Vec<Issuer>, Problem> {
    let path = args
        .issuers
        .as_deref()
        .filter(|path| !path.as_os_str().is_empty());
    let path = path.ok_or_else(|| {
        Problem::new(
            "LINLI_ISSUERS is not set: set it to a TOML file that names the issuers of your callers' tokens",
        )
    })?;
    let mut issuers = runtime::read_issuers(path, &[key::UP_ISSUER, key::SERVICES_ISSUER])?;
    issuers.push(minter.issuer(runtime::Role::Service.into()));
    Ok(issuers)
}

/// The services of this process, as others see who calls.
fn names(places: &[(Role, String)]) -> String {
    let names: Vec<&str> = places.iter().map(|(role, _)| role.name()).collect();
    names.join("+")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{DatabaseArgs, EmergencyArgs, LimitArgs, OriginArgs, RootsArgs, TlsArgs};

    fn args(roles: &[Role], listen: Option<&str>) -> ServeArgs {
        ServeArgs {
            roles: roles.to_vec(),
            database: DatabaseArgs {
                database_url: Some("postgres://linli@localhost/linli".to_owned()),
            },
            listen: listen.map(str::to_owned),
            ledger_key: None,
            person_keys: None,
            issuers: None,
            service_key: None,
            offline_keys: None,
            ledger_url: None,
            activity_url: None,
            roots: RootsArgs::default(),
            tls: TlsArgs::default(),
            origins: OriginArgs::default(),
            limits: LimitArgs::default(),
            emergency: EmergencyArgs::default(),
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
        let problem = addresses(&args, &places(&args).unwrap()).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "redemption calls activity: set LINLI_ACTIVITY_URL, as in http://activity:7402"
        );
    }

    #[test]
    fn over_tls_a_service_in_the_same_process_has_to_be_named_too() {
        let mut args = args(&Role::ALL, None);
        args.tls.certificate = Some("tls.crt".into());
        let problem = addresses(&args, &places(&args).unwrap()).unwrap_err();
        let said = problem.to_string();
        assert!(said.contains("set LINLI_LEDGER_URL"), "{said}");
    }

    #[test]
    fn half_of_tls_is_a_clear_problem() {
        let mut args = args(&[Role::Ledger], None);
        let clock = Clock::system();
        assert!(args.tls.tls(&clock).unwrap().is_none());
        args.tls.client_ca = Some("ca.crt".into());
        let problem = |args: &ServeArgs| args.tls.tls(&clock).unwrap_err().to_string();
        assert!(problem(&args).contains("set both LINLI_TLS_CERT and LINLI_TLS_KEY"));
        args.tls.certificate = Some("nowhere.crt".into());
        assert!(problem(&args).contains("set both LINLI_TLS_CERT and LINLI_TLS_KEY"));
        args.tls.key = Some("nowhere.key".into());
        assert!(problem(&args).contains("nowhere.crt: No such file"));
        args.tls.health_listen = Some("0.0.0.0:7490".to_owned());
        assert_eq!(probes(&args).unwrap(), Some("0.0.0.0:7490"));
        args.roles = Role::ALL.to_vec();
        assert!(probes(&args).is_err());
    }

    #[test]
    fn nothing_is_served_before_it_is_known_who_may_call() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("issuers.toml");
        let mut args = args(&[Role::Ledger], None);
        let problem = |args: &ServeArgs| {
            let places = places(args).unwrap();
            parts(args, &places).unwrap_err().to_string()
        };
        assert!(problem(&args).starts_with("LINLI_SERVICE_KEY is not set"));
        args.service_key = Some("secret".to_owned());
        let said = problem(&args);
        assert!(said.starts_with("LINLI_SERVICE_KEY has to be 32 bytes"));
        assert!(!said.contains("secret"));
        args.service_key = Some("A".repeat(43) + "=");
        assert!(problem(&args).starts_with("LINLI_ISSUERS is not set"));
        // The issuer of `up` is for trying out only, whoever has its key.
        let issuer =
            "[[issuer]]\niss = \"linli-up\"\naud = \"linli\"\nkeys = \"k\"\nroles = [\"staff\"]\n";
        std::fs::write(&file, issuer).unwrap();
        args.issuers = Some(file);
        assert!(problem(&args).contains("for trying out only"));
    }

    #[test]
    fn activity_is_not_served_without_keys_for_persons() {
        let mut args = args(&[Role::Ledger, Role::Activity], None);
        args.service_key = Some("A".repeat(43) + "=");
        let problem = |args: &ServeArgs| {
            let places = places(args).unwrap();
            parts(args, &places).unwrap_err().to_string()
        };
        assert!(problem(&args).starts_with("LINLI_PERSON_KEYS is not set"));
        args.person_keys = Some("secret".to_owned());
        let said = problem(&args);
        assert!(said.starts_with("LINLI_PERSON_KEYS: entry 1"), "{said}");
        assert!(!said.contains("secret"));
        args.person_keys = Some(runtime::KeyRing::new_entry());
        assert!(problem(&args).starts_with("LINLI_ISSUERS is not set"));
        // Whoever has no persons needs no keys for them.
        args.person_keys = None;
        args.roles = vec![Role::Ledger];
        assert!(problem(&args).starts_with("LINLI_ISSUERS is not set"));
    }

    #[test]
    fn a_service_in_the_same_process_is_found_on_loopback() {
        let args = args(&Role::ALL, Some("0.0.0.0:0"));
        let (ledger, activity) = addresses(&args, &places(&args).unwrap()).unwrap();
        assert_eq!(ledger, "http://127.0.0.1:7401");
        assert_eq!(activity, "http://127.0.0.1:7402");
    }
}
