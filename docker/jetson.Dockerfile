# ssd-edge on a Jetson with JetPack 6 (Orin): TensorRT, CUDA and Python 3.10 are those of the image.
# JetPack 6.0: --build-arg BASE=nvcr.io/nvidia/l4t-jetpack:r36.3.0; JetPack 7: docker/desktop.Dockerfile.
# Never built here: this project's machines have neither Docker nor a Jetson.
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
        python3-venv python3-libnvinfer libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/venv/bin:$PATH
RUN python3 -m venv --system-site-packages /opt/venv
COPY pyproject.toml README.md LICENSE /src/
COPY engines/boards /src/engines/boards
COPY ssd_edge /src/ssd_edge
# CUDA 12, as JetPack 6 has it.
RUN pip install --no-cache-dir /src 'cuda-bindings==12.*'

WORKDIR /workspace
ENTRYPOINT ["ssd-edge"]
CMD ["run", "--camera", "0", "--no-window", "--json", "-"]
