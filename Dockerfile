# The plugin in an image that puts it onto a node; conf-examples/daemonset runs it on every node.
#
#   docker build -t x-calico-route .                            builds everything, inside
#   docker build -t x-calico-route --build-arg PLUGIN=dist .    takes the dist/x-calico-route that `make build` made
#
# BASE: another Debian of the same or a newer release, such as a mirror's. One that has ip, nsenter and prlimit needs no network.
ARG BASE=debian:12-slim
ARG PLUGIN=build

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends binutils ca-certificates make npm
WORKDIR /src
# By name, so that no dist/ of the checkout is taken for what these sources make.
COPY LICENSE Makefile package.json package-lock.json ./
RUN make setup
COPY scripts scripts
COPY src src
RUN make build && cp dist/x-calico-route dist/LICENSES.txt /

FROM scratch AS dist
COPY dist/x-calico-route dist/LICENSES.txt /

FROM ${PLUGIN} AS plugin

FROM ${BASE} AS root
RUN (command -v ip && command -v nsenter && command -v prlimit) || \
  { apt-get update && apt-get install -y --no-install-recommends iproute2 libgcc-s1 libstdc++6 util-linux; }
COPY --from=plugin /x-calico-route /LICENSES.txt /
# The four programs, what they are linked with, and the way that containerd and CRI-O write /run/netns. Of the plugin and of
# each Debian package that a file is from: the licence, where its source is, and the licences that Debian's texts refer to.
RUN set -e; \
  tools="$(readlink -f "$(command -v ip)" "$(command -v nsenter)" "$(command -v prlimit)")"; \
  libraries="$(ldd /x-calico-route $tools)"; \
  case "$libraries" in *'not found'*) echo "$libraries" >&2; exit 1 ;; esac; \
  libraries="$(echo "$libraries" | grep -o '/lib[^ ]*' | sort -u)"; \
  mkdir -p /root-of-image/run /root-of-image/var /root-of-image/usr/share/doc/x-calico-route; \
  ln -s /run /root-of-image/var/run; \
  cp -L --parents /x-calico-route $tools $libraries /root-of-image; \
  cp /LICENSES.txt /root-of-image/usr/share/doc/x-calico-route; \
  # dpkg knows a file by its name before or after the merge of /lib into /usr/lib.
  for file in $tools $libraries; do \
    owner="$(dpkg-query -S "${file#/usr}" 2>/dev/null || dpkg-query -S "/usr${file#/usr}")"; \
    package="${owner%%:*}"; \
    cp -L --parents "/usr/share/doc/$package/copyright" /root-of-image; \
    dpkg-query -W -f '${Package} ${Version}: source https://snapshot.debian.org/package/${source:Package}/${source:Version}/\n' \
      "$package" >"/root-of-image/usr/share/doc/$package/source"; \
  done; \
  cp -r --parents /usr/share/common-licenses /root-of-image

FROM scratch
LABEL org.opencontainers.image.title="x-calico-route" \
  org.opencontainers.image.description="Puts the CNI plugin x-calico-route onto a node" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=root /root-of-image /
ENTRYPOINT ["/x-calico-route"]
CMD ["install"]
