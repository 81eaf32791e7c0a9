# ssd-edge with OpenVINO: processors, x86 or 64-bit Arm, and on x86 Intel's graphics with --device /dev/dri.
# For both: docker buildx build --platform linux/amd64,linux/arm64 -f docker/openvino.Dockerfile -t ssd-edge:openvino .
# Never built here: this project's machines have no Docker daemon. An NPU needs Intel's own driver, which is not in Debian.
ARG BASE=python:3.12-slim-trixie
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0t64 \
 && if [ "$(dpkg --print-architecture)" = amd64 ]; then \
        apt-get install --yes --no-install-recommends intel-opencl-icd; \
    fi \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ssd-edge

COPY pyproject.toml README.md LICENSE /src/
COPY engines/boards /src/engines/boards
COPY ssd_edge /src/ssd_edge
ARG EXTRAS=openvino,label
RUN pip install --no-cache-dir "/src[${EXTRAS}]"

# Graphics: docker run --device /dev/dri --group-add "$(stat -c %g /dev/dri/renderD128)"
USER 1000
ENV HOME=/home/ssd-edge
WORKDIR /workspace
ENTRYPOINT ["ssd-edge"]
CMD ["doctor"]
