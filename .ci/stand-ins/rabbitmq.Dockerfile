# Debian's RabbitMQ in the official image's places; the programs in its path want to be root.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends rabbitmq-server \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
    && find /var/lib/rabbitmq /var/log/rabbitmq -mindepth 1 -delete \
    && chmod 1777 /var/lib/rabbitmq /var/log/rabbitmq && mkdir -p /opt && ln -s /usr/lib/rabbitmq/lib/rabbitmq_server-* /opt/rabbitmq
ENV PATH=/opt/rabbitmq/sbin:$PATH HOME=/var/lib/rabbitmq
CMD ["rabbitmq-server"]
