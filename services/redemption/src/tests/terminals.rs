//! What is kept of the secrets that let tills in and members pay.

use super::*;
use crate::{KeyRefused, NewStore, NewTerminal, domain::TerminalKey};

#[tokio::test]
async fn no_secret_is_kept() {
    let shop = Shop::with_stock(1).await;
    let merchant = shop.name(shop.offer.merchant);
    let new = NewStore {
        id: None,
        number: "1".to_owned(),
        display_name: "Corner".to_owned(),
        require_certificate: false,
    };
    let store = shop
        .service
        .create_store(shop.call("CreateStore"), merchant, new);
    let store = shop.name(store.await.unwrap().id);
    let call = shop.call("CreatePairingCode");
    let (code, _) = shop.service.create_pairing_code(call, store).await.unwrap();
    let call = shop.call("PairTerminal");
    let till = NewTerminal {
        display_name: "Till".to_owned(),
        certificate: None,
    };
    let paired = shop.service.pair_terminal(call, &code, till);
    let (terminal, key) = paired.await.unwrap();
    assert_eq!(
        shop.service
            .holder_of_key(&key, None)
            .await
            .unwrap()
            .merchant,
        merchant.id
    );
    let call = shop.call("CreateMemberCode");
    let (shown, _) = shop
        .service
        .create_member_code(call, shop.name(shop.ann))
        .await
        .unwrap();
    let guess = TerminalKey::new(terminal.community, terminal.id, [0; 32]);
    let guessed = shop.service.holder_of_key(&guess, None).await;
    assert!(matches!(guessed, Err(KeyRefused::Unknown)));

    let tables: Vec<String> = sqlx::query_scalar(
        "select format('select row_to_json(t)::text from redemption.%I as t', tablename) from pg_tables where schemaname = 'redemption'",
    )
    .fetch_all(&shop.service.pool)
    .await
    .unwrap();
    let key = key.to_string();
    let secret = key.rsplit('.').next().unwrap();
    let (code, shown) = (code.to_string(), shown.to_string());
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut rows = 0;
    for table in tables {
        let all: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(table))
            .fetch_all(&shop.service.pool)
            .await
            .unwrap();
        for row in all {
            rows += 1;
            for secret in [
                secret,
                &shown,
                &hex(&shown),
                &code,
                &code.replace('-', ""),
                &hex(&code.replace('-', "")),
            ] {
                assert!(!row.contains(secret), "{row}");
            }
        }
    }
    assert!(rows > 5, "{rows}");
}
