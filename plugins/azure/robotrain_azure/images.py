"""Container images that jobs run in when nobody names one (contract A.0), by digest."""

LEROBOT_TRAIN = (
    "pytorch/pytorch:2.11.0-cuda12.8-cudnn9-runtime"
    "@sha256:eee11b3b3872a8c838e35ef48f08b2d5def2080902c7f666831310ca1a0ef2be"
)
LEROBOT_EVAL = (
    "pytorch/pytorch:2.4.1-cuda12.4-cudnn9-runtime"
    "@sha256:0a3b9fedefe1f61ac4d5a9de9015c0863db27ca0fde2d4e37e6268147980b726"
)
