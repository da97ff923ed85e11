"""Whether a video file is whole, as far as that can be told at the price of reading it.

What FFmpeg marks as damaged is refused, and so is a file that ends well before its header says.
What is left cannot be told from a healthy file that is shorter or shows something else: a cut that
takes less than a tenth, or, where the header states no length (GIF, MPEG streams), leaves no frame
in part; a hole in the middle that leaves none either; flipped bits that still decode, as nearly
all do in HEVC and VP9, which carry no checksums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# A file that lacks more than this share of what it says, and more than these frames, is cut off:
# headers that are wrong by a few frames are common and no matter.
_CUT_OFF, _FEW = Fraction(1, 10), 3

# MP4 is not among them: it says its length before edits, and cannot be read at all if cut off.
_STATING_LENGTH = frozenset({"matroska,webm", "flv"})


class Extent:
    """How far a file goes, in seconds, by its header and by what is there.

    A file may last longer than its pictures, so that the packets of all streams count.

    Args:
        container: the file.
        stream: its pictures.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.promised = _promised(container, stream)
        self.found = Fraction()

    def watch(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Pass on the packets of a file, and note how far they go."""
        for packet in packets:
            start = packet.dts if packet.pts is None else packet.pts
            if packet.size and start is not None:
                end = (start + (packet.duration or 0)) * packet.time_base
                self.found = max(self.found, end)
            yield packet

    def is_cut_off(self, frame: Fraction) -> bool:
        """Return whether much is missing, once all packets have gone by.

        Args:
            frame: seconds that a frame lasts on average.
        """
        lost = self.promised - self.found
        return lost > max(_CUT_OFF * self.promised, _FEW * frame)


def _promised(container: InputContainer, stream: VideoStream) -> Fraction:
    """Return the second at which the header says that a file ends; 0 if it is not to be relied on.

    Of AVI it is the number of frames that counts: where the index is cut off, FFmpeg makes up a
    duration from the size of the file.
    """
    if container.format.name == "avi":
        return stream.frames * (stream.time_base or Fraction())
    if container.format.name in _STATING_LENGTH:
        return Fraction(container.duration or 0, av.time_base)
    return Fraction()
