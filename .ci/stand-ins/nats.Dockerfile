# Debian's NATS, and what the health check calls.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends nats-server wget \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
CMD ["nats-server"]
