//! Which web pages may call from browsers.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{Any, CorsLayer};

use crate::{Problem, server::VERSION_HEADER};

/// How long a browser may remember what it was allowed.
const ALLOWED_FOR: Duration = Duration::from_secs(3600);

/// The pages, by where they come from.
#[derive(Clone, Debug)]
pub(crate) enum Origins {
    /// Every page.
    Any,
    /// These, as browsers name them.
    Named(Arc<[HeaderValue]>),
}

impl Origins {
    /// Reads origins as in `https://app.example`; `*` means every page.
    pub(crate) fn parse(origins: &[String]) -> Result<Self, Problem> {
        if origins.iter().any(|origin| origin == "*") {
            return Ok(Self::Any);
        }
        let parsed = origins.iter().map(|origin| {
            let value = HeaderValue::from_str(origin).ok();
            value.filter(|_| is_origin(origin)).ok_or_else(|| {
                Problem::new(format!("{origin:?} is no origin like https://app.example"))
            })
        });
        parsed.collect::<Result<_, _>>().map(Self::Named)
    }

    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Named(named) => named.contains(origin),
        }
    }

    /// What tells browsers so; `None` when no page may call.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let exposed = [
            HeaderName::from_static("grpc-status"),
            HeaderName::from_static("grpc-message"),
            HeaderName::from_static("grpc-status-details-bin"),
            header::RETRY_AFTER,
            VERSION_HEADER,
        ];
        let layer = CorsLayer::new()
            .allow_methods([Method::POST])
            .allow_headers(tower_http::cors::AllowHeaders::mirror_request())
            .expose_headers(exposed)
            .max_age(ALLOWED_FOR);
        match self {
            Self::Any => Some(layer.allow_origin(Any)),
            Self::Named(named) if named.is_empty() => None,
            Self::Named(named) => Some(layer.allow_origin(named.to_vec())),
        }
    }
}

/// Whether a browser would name an origin so: scheme, host in lower case, and the port unless it is the scheme's own.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return false;
    };
    let port = match (scheme, uri.port_u16()) {
        ("https", Some(443)) | ("http", Some(80)) => return false,
        (_, Some(port)) => format!(":{port}"),
        (_, None) => String::new(),
    };
    text == format!("{scheme}://{}{port}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        let parse = |list: &[&str]| {
            let list: Vec<String> = list.iter().map(|origin| (*origin).to_owned()).collect();
            Origins::parse(&list)
        };
        let named = parse(&["https://app.example", "http://localhost:5173"]).unwrap();
        assert!(named.allow(&HeaderValue::from_static("http://localhost:5173")));
        assert!(!named.allow(&HeaderValue::from_static("http://localhost:5174")));
        assert!(!named.allow(&HeaderValue::from_static("null")));
        assert!(
            parse(&["*"])
                .unwrap()
                .allow(&HeaderValue::from_static("null"))
        );
        assert!(
            !parse(&[])
                .unwrap()
                .allow(&HeaderValue::from_static("https://app.example"))
        );
        for wrong in [
            "app.example",
            "https://app.example/",
            "https://app.example/shop",
            "https://app.example?x",
            "https://App.example",
            "https://app.example:443",
            "https://me@app.example",
            "null",
            "",
        ] {
            let problem = parse(&["https://app.example", wrong]).unwrap_err();
            let expected = format!("{wrong:?} is no origin like https://app.example");
            assert_eq!(problem.to_string(), expected);
        }
    }
}
