# latexify in a container: `--target cpu` (the last, and so the default) or `--target cuda`. docs/guide/container.md says how to
# run it; `make container-check` builds the cpu target where there is no Docker, and runs what is in it.
#
# Pinned: the base by its dated tag, Python packages by requirements-image.lock and their hashes, torch by its version in
# requirements-torch.lock; the index that it comes from decides which build of it.
ARG BASE=debian:bookworm-20250520-slim
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG TORCH_CUDA_INDEX=https://download.pytorch.org/whl/cu130

# What every target runs on: Python, cairo to draw inks, and a user who can write in /work, /opt/ml and /tmp only.
FROM ${BASE} AS base
# the tag decides on the release, of which Debian keeps only the newest version of each package
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates libcairo2 python3 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 latexify \
    && install -d -o latexify -g latexify /work /opt/ml
ENV PATH=/opt/latexify/venv/bin:$PATH \
    PYTHONPATH=/opt/latexify/app \
    PYTHONUNBUFFERED=1 \
    HF_HUB_DISABLE_TELEMETRY=1

# The packages. The compiler that pycairo needs stays in this stage.
FROM base AS packages
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        build-essential libcairo2-dev pkg-config python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/latexify/venv
COPY requirements-image.lock requirements-torch.lock /tmp/
RUN pip install --no-deps --require-hashes -r /tmp/requirements-image.lock

FROM packages AS packages-cpu
ARG TORCH_INDEX
RUN pip install --no-deps --index-url "${TORCH_INDEX}" -r /tmp/requirements-torch.lock \
    && pip uninstall -y pip

# torch for CUDA brings the libraries that it needs as packages of its own; the driver is the host's
FROM packages AS packages-cuda
ARG TORCH_CUDA_INDEX
RUN pip install --index-url "${TORCH_CUDA_INDEX}" -r /tmp/requirements-torch.lock \
    && pip uninstall -y pip

# The code, in layers of its own above the packages, so that a change of it does not ship them again.
FROM base AS cuda
COPY --from=packages-cuda /opt/latexify/venv /opt/latexify/venv
COPY container/bin /usr/local/bin
COPY . /opt/latexify/app
RUN python -m compileall -q /opt/latexify/app
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
ARG RUN_AS=latexify
USER ${RUN_AS}
EXPOSE 8080 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 CMD ["healthy"]
CMD ["serve"]

FROM base AS cpu
COPY --from=packages-cpu /opt/latexify/venv /opt/latexify/venv
COPY container/bin /usr/local/bin
COPY . /opt/latexify/app
RUN python -m compileall -q /opt/latexify/app
WORKDIR /work
ARG RUN_AS=latexify
USER ${RUN_AS}
EXPOSE 8080 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 CMD ["healthy"]
CMD ["serve"]
