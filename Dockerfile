# A static program that runs as nobody in an otherwise empty image.
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t outbox-relay .

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/outbox-relay ./cmd/outbox-relay

FROM scratch
# For PostgreSQL and OTLP over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/outbox-relay /outbox-relay
USER 65532:65532
EXPOSE 9090
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/outbox-relay", "healthcheck"]
ENTRYPOINT ["/outbox-relay"]
CMD ["run"]
