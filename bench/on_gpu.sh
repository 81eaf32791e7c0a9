#!/usr/bin/env bash
# What only a CUDA machine can tell of ssd-edge, in about ten minutes. From a clone, in an environment with
# pip install -e '.[train,eval,export,dev]' (and '.[tensorrt]' where TensorRT's part shall run):
#
#     bash bench/on_gpu.sh [FOLDER]
#
# Writes FOLDER (on_gpu) with a log of each part and doctor.json; a part that fails is named, and the others run.
set -u
cd "$(dirname "$0")/.." || exit
out=${1:-on_gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
failed=0

part() {  # name, seconds that it may take, command
    local name=$1 limit=$2 begun=$SECONDS
    shift 2
    if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then
        echo "$name: $((SECONDS - begun)) s, $out/$name.log"
    else
        echo "$name: FAILED with $?, $out/$name.log"
        failed=1
    fi
}

"$python" -c 'import torch; assert torch.cuda.is_available(), "no CUDA GPU, or a PyTorch without CUDA"' || exit 1
part gpu 20 nvidia-smi
part cuda_layer 60 "$python" -m bench.cuda_layer --binding cuda-python
part training 240 "$python" -m bench.training_on_gpu --compiled
part doctor 60 "$python" -m ssd_edge doctor --json "$out/doctor.json"
if "$python" -c 'import tensorrt' 2>/dev/null || "$python" -c 'import tensorrt_rtx' 2>/dev/null; then
    part selftest 240 "$python" -m ssd_edge doctor --selftest --frames 300 --html "$out/selftest.html"
else
    echo "selftest: left out, no TensorRT is installed"
fi
exit $failed
