"""OpenVINO on the processor, on Intel's GPUs and NPUs."""
