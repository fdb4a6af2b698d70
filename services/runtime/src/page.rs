//! Opaque page tokens (AIP-158), each bound to the query it came from. A token is no secret and no permission: it only
//! says where the next page begins.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::Fields;

#[derive(Serialize, Deserialize)]
struct Token<T> {
    query: String,
    cursor: T,
}

/// The part of a list from one place on.
#[derive(Debug, Clone, Copy)]
pub struct Window<C> {
    /// The last one before it.
    pub after: C,
    /// At most so many.
    pub limit: i64,
}

/// A part of a list.
#[derive(Debug)]
pub struct Page<T, C> {
    /// What is in it.
    pub items: Vec<T>,
    /// Where the next page begins: after this one. `None` at the end.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Asks for one more than a page holds, to see whether another follows.
    pub fn window(after: C, size: i64) -> Window<C> {
        Window {
            after,
            limit: size + 1,
        }
    }

    /// Cuts what a window gave to the page's size.
    pub fn cut(mut items: Vec<T>, size: i64, cursor: impl Fn(&T) -> C) -> Self {
        let size = usize::try_from(size).expect("a page size is from 1 to 1000");
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// A list call's place: how many from where on.
#[derive(Debug)]
pub struct Place<C> {
    query: String,
    /// How many.
    pub size: i64,
    /// The last one of the page before; nothing for the first page.
    pub after: Option<C>,
}

impl<C: DeserializeOwned + Serialize> Place<C> {
    /// Reads `page_size` and `page_token`. `query` names the method and every other field.
    pub fn read(fields: &mut Fields, query: String, page: (i32, &str)) -> Self {
        let (size, token) = page;
        let size = fields.page_size(size);
        let after = decode_page_token(fields, &query, token);
        Self { query, size, after }
    }

    /// The token of the page after this one.
    pub fn next_page_token<T>(&self, page: &Page<T, C>) -> String {
        page.next
            .as_ref()
            .map(|cursor| encode_page_token(&self.query, cursor))
            .unwrap_or_default()
    }
}

/// Makes the token of the page that starts at `cursor`. `query` names the method and everything that filters or sorts.
pub fn encode_page_token(query: &str, cursor: &impl Serialize) -> String {
    let token = Token {
        query: fingerprint(query),
        cursor,
    };
    let json = serde_json::to_vec(&token).expect("a cursor is plain data");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

/// Reads `page_token`: nothing for the first page, a violation for a token of another query.
pub fn decode_page_token<T: DeserializeOwned>(
    fields: &mut Fields,
    query: &str,
    token: &str,
) -> Option<T> {
    if token.is_empty() {
        return None;
    }
    let read: Option<Token<T>> = BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    match read {
        None => {
            fields.fail("page_token", "not a next_page_token of this method");
            None
        }
        Some(token) if token.query != fingerprint(query) => {
            fields.fail(
                "page_token",
                "belongs to another query: keep all other fields the same",
            );
            None
        }
        Some(token) => Some(token.cursor),
    }
}

fn fingerprint(query: &str) -> String {
    let digest = Sha256::digest(query.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&digest[..9])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    #[test]
    fn a_token_brings_back_its_cursor() {
        let token = encode_page_token("ListEntries a", &(42_i64, "x"));
        let mut fields = Fields::new("test.linli", &Access::everything("test"));
        let cursor: Option<(i64, String)> = decode_page_token(&mut fields, "ListEntries a", &token);
        assert_eq!(cursor, Some((42, "x".to_owned())));
        assert_eq!(
            decode_page_token::<i64>(&mut fields, "ListEntries a", ""),
            None
        );
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn a_token_of_another_query_or_a_made_up_one_is_refused() {
        let token = encode_page_token("ListEntries a", &42_i64);
        for (query, token) in [
            ("ListEntries b", token.as_str()),
            ("ListEntries a", "next"),
            ("ListEntries a", &token[1..]),
        ] {
            let mut fields = Fields::new("test.linli", &Access::everything("test"));
            assert_eq!(decode_page_token::<i64>(&mut fields, query, token), None);
            assert!(
                fields
                    .finish()
                    .unwrap_err()
                    .message()
                    .starts_with("page_token: ")
            );
        }
    }
}
