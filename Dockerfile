# One image for every role: `serve ledger`, `serve activity`, `serve redemption`, `serve wish`, `migrate`.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" --tag linli:0.1.0 .

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
# The queries were checked against a database when .sqlx was written; none is needed here.
ENV SQLX_OFFLINE=true CARGO_INCREMENTAL=0
COPY Cargo.toml Cargo.lock ./
COPY proto proto
COPY services services
COPY tests tests
COPY migrations migrations
COPY .sqlx .sqlx
# The target folder is a cache mount and stays behind, so the binary is copied out of it in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --package linli \
    && install -D target/release/linli /out/linli

FROM debian:bookworm-slim
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="linli" \
      org.opencontainers.image.description="A points-and-rewards exchange for communities" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Roots of trust for the collector of traces over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/linli /usr/local/bin/linli
# By number, so that `runAsNonRoot` can be checked; it needs no home and writes no file.
USER 65532:65532
EXPOSE 7401 7402 7403
ENTRYPOINT ["/usr/local/bin/linli"]
