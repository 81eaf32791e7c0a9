# ssd-edge on a desktop GPU, or on a Jetson with JetPack 7. NVIDIA's image carries TensorRT, CUDA and Python.
# JetPack 7.2, whose TensorRT is 10.16: --build-arg BASE=nvcr.io/nvidia/tensorrt:26.05-py3
# Never built here: this project's machines have neither Docker nor a GPU.
ARG BASE=nvcr.io/nvidia/tensorrt:25.08-py3
FROM ${BASE}

RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

# Its Python is the distribution's, into which pip may not install; TensorRT is seen from a virtual environment.
ENV PATH=/opt/venv/bin:$PATH
RUN python3 -m venv --system-site-packages /opt/venv
COPY pyproject.toml README.md LICENSE /src/
COPY engines/boards /src/engines/boards
COPY ssd_edge /src/ssd_edge
# Of the image's CUDA: 13, or 12 in images before 25.08 (docs/jetson.md has the drivers).
ARG CUDA=13
RUN pip install --no-cache-dir /src "cuda-bindings==${CUDA}.*"

WORKDIR /workspace
ENTRYPOINT ["ssd-edge"]
CMD ["run", "--camera", "0", "--no-window", "--json", "-"]
