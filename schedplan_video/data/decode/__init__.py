"""Decoding: any frames of a video as RGB, without decoding the rest of it."""

from .errors import DecodeError
from .info import VideoInfo
from .reader import each_frame, probe, read_frames

__all__ = ["DecodeError", "VideoInfo", "each_frame", "probe", "read_frames"]
