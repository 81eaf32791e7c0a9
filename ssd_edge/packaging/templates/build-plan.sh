#!/bin/sh
# Builds the plan for Triton's TensorRT backend, on the GPU that it will run on and with the server's own TensorRT:
# run it in nvcr.io/nvidia/tensorrt:YY.MM-py3 with the YY.MM of the server. More options of trtexec may follow, but for --fp16:
# it allows half precision for every layer, where sums of squares overflow and the NMS mistakes boxes.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
name='@{name}'
trtexec=${TRTEXEC:-$(command -v trtexec || echo /usr/src/tensorrt/bin/trtexec)}
if [ ! -x "$trtexec" ]; then
    echo "trtexec is not there: $trtexec. Set TRTEXEC, or run this in NVIDIA's tensorrt container." >&2
    exit 1
fi
plan=$here/../tensorrt/$name/1/model.plan
mkdir -p "$(dirname -- "$plan")"  # an archive has no empty folders
"$trtexec" "--onnx=$here/model.onnx" "--saveEngine=$plan.partial" \
    --minShapes='images:1x@{side}' --optShapes='images:@{best_batch}x@{side}' --maxShapes='images:@{max_batch}x@{side}' "$@"
mv "$plan.partial" "$plan"
echo "built $plan"
