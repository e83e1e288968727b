"""Stands for Isaac-GR00T's data configs."""


class So100DataConfig:
    video_keys = ("video.webcam",)


DATA_CONFIG_MAP = {"so100": So100DataConfig()}
