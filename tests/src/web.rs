//! Calls over HTTP/1.1, as a mini-program or a browser makes them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// The web page that a world lets call.
pub const ORIGIN: &str = "https://app.example";

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The code of HTTP.
    pub code: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The bytes of the body.
    pub body: Bytes,
}

impl Reply {
    /// A header; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body, which has to be JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A client of HTTP/1.1.
#[derive(Debug, Clone)]
pub struct Web {
    client: Client<HttpConnector, Full<Bytes>>,
    token: Option<HeaderValue>,
}

impl Default for Web {
    /// Without a token.
    fn default() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            token: None,
        }
    }
}

impl Web {
    /// With a token in every request.
    pub fn with_token(token: &str) -> Self {
        Self {
            token: Some(HeaderValue::try_from(format!("Bearer {token}")).unwrap()),
            ..Self::default()
        }
    }

    /// Sends a request and waits for its answer's beginning; the rest is in its body.
    pub async fn begin(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> http::Response<impl BodyExt<Data = Bytes, Error: std::fmt::Debug> + Unpin + use<>> {
        if let Some(token) = &self.token {
            let headers = request.headers_mut();
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        self.client.request(request).await.unwrap()
    }

    /// Sends a request and waits for all of its answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Reply {
        let (head, body) = self.begin(request).await.into_parts();
        Reply {
            code: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Posts JSON.
    pub async fn post(&self, url: &str, json: &Value) -> Reply {
        self.send(post(url, "application/json", json.to_string()))
            .await
    }
}

/// A request with a body of some type.
pub fn post(url: &str, content_type: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ORIGIN, ORIGIN)
        .body(Full::new(body.into()))
        .unwrap()
}
