# The image of treecache-exporter.
#
#   docker build --tag treecache-exporter .
#   docker run --rm --read-only --publish 127.0.0.1:19141:19141 treecache-exporter --zookeeper.hosts=zk1:2181 --treecache.path=/
#
# Build arguments: BASE is another base image (Debian's Python 3.11 or newer as python3); PIP_INDEX_URL,
# PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST and PIP_CERT are pip's variables; every builder knows HTTP_PROXY, HTTPS_PROXY and
# NO_PROXY. None of these stays in the image. VERSION, REVISION and CREATED become labels.

ARG BASE=python:3.13.7-slim-bookworm@sha256:adafcc17694d715c905b4c7bebd96907a1fd5cf183395f0ebc4d3428bd22d92d

# Wheels of the exporter and its dependencies, with the versions and hashes of requirements/*.txt.
FROM ${BASE} AS wheels
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python3 -m venv /build \
    && /build/bin/pip install --require-hashes --requirement requirements/build.txt \
    && /build/bin/pip wheel --no-build-isolation --require-hashes --wheel-dir /wheels --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY docs docs
COPY exporter exporter
RUN /build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /wheels .

# An environment without pip.
FROM wheels AS environment
RUN python3 -m venv --without-pip /opt/treecache-exporter \
    && /build/bin/pip --python /opt/treecache-exporter/bin/python install --no-index --no-deps /wheels/*.whl \
    && /build/bin/pip --python /opt/treecache-exporter/bin/python check

FROM ${BASE}
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="treecache-exporter" \
    org.opencontainers.image.description="Prometheus exporter for ZooKeeper subtrees: how complete and how fresh their caches are" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.created="${CREATED}"
# Remove pip and ensurepip of the base image.
RUN find / -xdev \( -path '*/bin/pip' -o -path '*/bin/pip[0-9]*' -o -path '*/python*/pip' -o -path '*/python*/pip-*' \
    -o -path '*/python*/ensurepip' \) -prune -exec rm -rf {} +
COPY --from=environment /opt/treecache-exporter /opt/treecache-exporter
ENV PATH=/opt/treecache-exporter/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
EXPOSE 19141
STOPSIGNAL SIGTERM
# It uses the default address. With another address or TLS, define your own check with these flags.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 CMD ["treecache-exporter", "healthcheck"]
# The kernel discards signals to the first process of a container that has no handlers yet, but keeps blocked ones, which
# the exporter unblocks once it has handlers (pid_namespaces(7)).
ENTRYPOINT ["env", "--block-signal=TERM,INT,HUP", "treecache-exporter"]
