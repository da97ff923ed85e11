"""Decoding: any frames of a video as RGB, without decoding the rest of it."""

from .errors import DecodeError
from .info import VideoInfo
from .reader import probe, read_frames

__all__ = ["DecodeError", "VideoInfo", "probe", "read_frames"]
