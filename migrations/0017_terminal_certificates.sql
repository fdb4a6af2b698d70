-- Terminal keys that count only over a connection with the client certificate that they are bound to.

-- A key that has none counts over any connection.
alter table redemption.terminal_key
    add column certificate_hash bytea, -- SHA-256 of the certificate's public key (SubjectPublicKeyInfo)
    add constraint terminal_key_certificate_hash_length check (octet_length(certificate_hash) = 32);

-- Where it is true, a till without a certificate can't be paired.
alter table redemption.store
    add column require_certificate boolean not null default false;

grant update (certificate_hash) on redemption.terminal_key to linli_redemption;
