# One target a role: pi, topside, recorder, dashboard, accounts. Each holds its own locked dependencies and no more.
#   docker build --target pi --tag tidesync-pi .
# Nothing here depends on the processor; docs/containers.md says what arm/v7 lacks.
ARG PYTHON_IMAGE=python:3.13-slim-trixie


# ---- build stages, not part of any image ----

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

FROM builder AS wheel
COPY requirements/build.lock requirements/
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv tools && tools/bin/python -m pip install --quiet --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY distributions distributions
COPY schemas schemas
COPY runtime runtime
COPY broker broker
COPY pi_agent pi_agent
COPY topside_agent topside_agent
COPY tidesync tidesync
RUN tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist ./distributions/tidesync-pi .

# The base's pip installs into an environment without pip. Dependencies first: they change rarely.
FROM builder AS empty
RUN python -m venv --without-pip /opt/tidesync
ENV INSTALL="python -m pip --python /opt/tidesync/bin/python install --quiet"

FROM empty AS install-pi
COPY requirements/pi.lock .
RUN --mount=type=cache,target=/root/.cache/pip ${INSTALL} --require-hashes -r pi.lock
RUN --mount=from=wheel,source=/build/dist,target=dist ${INSTALL} --no-deps --no-index dist/tidesync_pi-*.whl

FROM empty AS install-topside
COPY requirements/topside.lock .
RUN --mount=type=cache,target=/root/.cache/pip ${INSTALL} --require-hashes -r topside.lock
RUN --mount=from=wheel,source=/build/dist,target=dist ${INSTALL} --no-deps --no-index dist/*.whl

FROM empty AS install-dashboard
COPY requirements/dashboard.lock .
RUN --mount=type=cache,target=/root/.cache/pip ${INSTALL} --require-hashes -r dashboard.lock
RUN --mount=from=wheel,source=/build/dist,target=dist ${INSTALL} --no-deps --no-index dist/*.whl

FROM empty AS install-accounts
COPY requirements/accounts.lock .
RUN --mount=type=cache,target=/root/.cache/pip ${INSTALL} --require-hashes -r accounts.lock
RUN --mount=from=wheel,source=/build/dist,target=dist ${INSTALL} --no-deps --no-index dist/*.whl


# ---- images ----

# Root owns everything but /tmp, so that an agent needs only `--read-only --tmpfs /tmp`.
FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 tidesync \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tidesync
ENV PATH=/opt/tidesync/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
ENTRYPOINT ["tidesync"]

# A healthy agent touches this file, also while it waits for its broker; a stuck one does not.
FROM runtime AS agent
ENV TIDESYNC_HEARTBEAT_FILE=/tmp/heartbeat
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=2 \
    CMD ["python", "-m", "runtime.heartbeat", "/tmp/heartbeat"]

FROM agent AS pi
COPY --from=install-pi /opt/tidesync /opt/tidesync
EXPOSE 9150
CMD ["pi"]

FROM agent AS topside
COPY --from=install-topside /opt/tidesync /opt/tidesync
CMD ["topside"]

FROM topside AS recorder
USER root
RUN install -d -o 10001 -g 10001 /data/sessions
USER 10001:10001
VOLUME ["/data/sessions"]
CMD ["record", "--root", "/data/sessions"]

FROM agent AS dashboard
COPY --from=install-dashboard /opt/tidesync /opt/tidesync
EXPOSE 8780
CMD ["dashboard"]

# Manages mosquitto's accounts; runs as the official image's user mosquitto, since it writes that user's files.
FROM runtime AS accounts
COPY --from=install-accounts /opt/tidesync /opt/tidesync
USER root
RUN install -d -o 1883 -g 1883 -m 0750 /mosquitto/config && install -d -o 1883 -g 1883 -m 0700 /authority \
    && install -d -o 1883 -g 1883 /ca \
    && for node in 1 2 3; do install -d -o 1883 -g 1883 -m 0700 /nats/$node /rabbitmq/$node; done \
    && for name in rov1 rov2 rov3 topside recorder dashboard operator; do \
        install -d -o 1883 -g 10001 -m 0750 /secrets/$name; done
COPY deploy/compose/ /usr/local/bin/
COPY deploy/nats/nats-server.conf deploy/rabbitmq/rabbitmq.conf deploy/rabbitmq/enabled_plugins /usr/local/share/tidesync/
USER 1883:1883
CMD ["broker", "list"]
