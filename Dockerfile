# The plugin in an image that puts it onto a node; conf-examples/daemonset runs it on every node.
#
#   docker build -t x-calico-route .                            builds everything, inside
#   docker build -t x-calico-route --build-arg PLUGIN=dist .    takes the dist/x-calico-route that `make build` made
#
# With --platform linux/amd64,linux/arm64 it is an image for nodes of both architectures. Only the build of the plugin runs programs of
# the other one, by qemu; PLUGIN=dist takes the executable for it from dist/arm64 or dist/x64, where `make build ARCH=` puts it.
# podman before 4.4 does not take BASE, PLUGIN and BUILDPLATFORM from here: give it all three, as `make image` does.
#
# BASE: another Debian of the same or a newer release, such as a mirror's. One that has patchelf and, in /debs/ARCH, what
# scripts/image/debs.sh fetches, needs no network.
ARG BASE=pinned
ARG PLUGIN=build

# Here, because Dependabot raises what it finds in a FROM.
FROM --platform=$BUILDPLATFORM debian:12-slim@sha256:abd67ffcfa541b485a3dff59865ab629aa048a6c613e639d36e7456b0b229241 AS pinned

FROM --platform=$BUILDPLATFORM ${BASE} AS build
ARG BUILDARCH
ARG TARGETARCH
RUN apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates make npm
# What `make build` asks for when it builds for the other architecture.
RUN [ "$BUILDARCH" = "$TARGETARCH" ] || apt-get install -y --no-install-recommends qemu-user \
  "binutils-$(echo "$TARGETARCH" | sed 's/amd64/x86-64/; s/arm64/aarch64/')-linux-gnu" \
  "libc6-$TARGETARCH-cross" "libgcc-s1-$TARGETARCH-cross" "libstdc++6-$TARGETARCH-cross"
WORKDIR /src
# By name, so that no dist/ of the checkout is taken for what these sources make.
COPY LICENSE Makefile package.json package-lock.json ./
RUN make setup
COPY scripts scripts
COPY src src
RUN make build ARCH="$(echo "$TARGETARCH" | sed s/amd64/x64/)" && mv dist /

FROM scratch AS dist
COPY dist /dist

FROM ${PLUGIN} AS plugin

FROM --platform=$BUILDPLATFORM ${BASE} AS root
ARG BUILDARCH
ARG TARGETARCH
RUN command -v patchelf || { apt-get update && apt-get install -y --no-install-recommends patchelf; }
COPY scripts/image /image
RUN [ -d "/debs/$TARGETARCH" ] || /image/debs.sh "$TARGETARCH" "/debs/$TARGETARCH"
RUN /image/unpack.sh "/debs/$TARGETARCH" /root-of-debian
COPY --from=plugin /dist /dist
RUN plugin=/dist; [ "$BUILDARCH" = "$TARGETARCH" ] || plugin=/dist/$(echo "$TARGETARCH" | sed s/amd64/x64/); \
  /image/fill.sh /root-of-debian "$plugin" /root-of-image

FROM scratch
ARG REVISION=unknown
ARG SOURCE=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="x-calico-route" \
  org.opencontainers.image.description="Puts the CNI plugin x-calico-route onto a node" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.source="$SOURCE" \
  org.opencontainers.image.version="$VERSION"
COPY --from=root /root-of-image /
ENTRYPOINT ["/x-calico-route"]
CMD ["install"]
