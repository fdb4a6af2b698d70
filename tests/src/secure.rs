//! Redemption behind TLS that it ends itself, and the certificates of its callers.

use std::fs;

use linli::{
    role::{Parts, Prepared, Role as Service},
    system::EmergencyNumbers,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use runtime::{Authority, Bearer, Client, Holder, Role, Roles, Roots, Thumbprint, Tls, TlsFiles};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{self, ClientTlsConfig, Endpoint, Identity};

use crate::World;

/// A redemption service over TLS, on the database of a world, beside the world's own. It runs as long as its test.
pub struct Secure {
    url: String,
    ca: CertifiedIssuer<'static, KeyPair>,
    /// Where its own certificate is.
    folder: TempDir,
}

/// A certificate, and the key that it is of.
#[derive(Debug)]
pub struct Certificate {
    pem: String,
    key: KeyPair,
}

impl Certificate {
    /// SHA-256 of its public key, as contracts write it.
    pub fn thumbprint(&self) -> String {
        let info = self.key.subject_public_key_info();
        Thumbprint(Sha256::digest(info).into()).to_string()
    }
}

impl Secure {
    /// A new certificate of a new key.
    pub fn certificate(&self) -> Certificate {
        self.sign(KeyPair::generate().unwrap())
    }

    /// A new certificate of the same key.
    pub fn renewed(&self, certificate: &Certificate) -> Certificate {
        self.sign(KeyPair::from_pem(&certificate.key.serialize_pem()).unwrap())
    }

    fn sign(&self, key: KeyPair) -> Certificate {
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let pem = params.signed_by(&key, &self.ca).unwrap().pem();
        Certificate { pem, key }
    }

    /// Calls over a connection with a certificate, or without one.
    pub fn client(&self, certificate: Option<&Certificate>, token: Option<&str>) -> Client {
        let ca = transport::Certificate::from_pem(self.ca.pem());
        let mut config = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(certificate) = certificate {
            let key = certificate.key.serialize_pem();
            config = config.identity(Identity::from_pem(&certificate.pem, key));
        }
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap();
        let channel = endpoint.tls_config(config).unwrap().connect_lazy();
        Client::new(channel, token.map(|token| Bearer::given(token).unwrap()))
    }
}

impl World {
    /// Starts redemption once more, over TLS, with one authority for servers and clients.
    pub async fn secure(&self) -> Secure {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let listener = runtime::listen("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let secure = Secure {
            url: format!("https://localhost:{port}"),
            ca,
            folder: tempfile::tempdir().unwrap(),
        };
        let stop = CancellationToken::new();
        let parts = self.parts(self.tls(&secure));
        let prepared = Prepared::new(Service::Redemption, parts, stop).await;
        tokio::spawn(prepared.unwrap().run(listener));
        secure
    }

    fn tls(&self, secure: &Secure) -> Tls {
        let place = |name| secure.folder.path().join(name);
        let files = TlsFiles {
            certificate: place("tls.crt"),
            key: place("tls.key"),
            client_ca: Some(place("ca.crt")),
        };
        let own = secure.certificate();
        fs::write(&files.certificate, &own.pem).unwrap();
        fs::write(&files.key, own.key.serialize_pem()).unwrap();
        fs::write(place("ca.crt"), secure.ca.pem()).unwrap();
        Tls::read(files, self.clock.clone()).unwrap()
    }

    fn parts(&self, tls: Tls) -> Parts {
        let trusted = self.minter.issuer(Roles::from_iter(Role::ALL));
        let service = Holder::everywhere("linli", [Role::Service]);
        Parts {
            database_url: self.database.url().to_owned(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            ledger_url: self.system.ledger.url(),
            activity_url: self.system.activity.url(),
            roots: Roots::default(),
            tls: Some(tls),
            signer: None,
            person_keys: None,
            origins: vec![],
            emergency_numbers: EmergencyNumbers::default(),
            limits: self.limits,
            offline: crate::offline(),
            authority: Authority::new(self.clock.clone(), vec![trusted]).unwrap(),
            bearer: Bearer::minted(self.minter.clone(), service, self.clock.clone()),
        }
    }
}
