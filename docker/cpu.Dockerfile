# ssd-edge on a processor, x86 or 64-bit Arm, with ONNX Runtime. A checkpoint needs PyTorch: --build-arg EXTRAS=train,label.
# For both: docker buildx build --platform linux/amd64,linux/arm64 -f docker/cpu.Dockerfile -t ssd-edge:cpu .
# Never built here: this project's machines have no Docker daemon.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ssd-edge

COPY pyproject.toml README.md LICENSE /src/
COPY engines/boards /src/engines/boards
COPY ssd_edge /src/ssd_edge
ARG EXTRAS=label
RUN pip install --no-cache-dir "/src[${EXTRAS}]"

# Files in /workspace belong to this user: docker run --user "$(id -u):$(id -g)" takes yours instead.
USER 1000
ENV HOME=/home/ssd-edge
WORKDIR /workspace
ENTRYPOINT ["ssd-edge"]
CMD ["doctor"]
