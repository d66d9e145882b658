"""A file of shots in one of stim's formats: how many it holds, and any range of them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import pathlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import stim

Bits = npt.NDArray[np.uint8]
What = Literal["detectors", "observables", "measurements", "sweep bits"]

FORMATS = ("b8", "01", "r8", "ptb64", "hits")


@dataclasses.dataclass(frozen=True)
class ShotFile:
    """Shots of so many `bits` each, of what the circuit calls `what`; the ending says the format.

    In `b8` each shot begins with a byte of its own, lowest bit first: any range of shots can be
    read alone. Files of the other formats are read as a whole.
    """

    path: pathlib.Path
    bits: int
    what: What

    @property
    def form(self) -> str:
        """The format, by the file's ending."""
        return self.path.suffix.removeprefix(".")

    @property
    def width(self) -> int:
        """Bytes of a shot as stim packs bits."""
        return (self.bits + 7) // 8

    def shots(self) -> int:
        """How many shots the file holds; ValueError if they are not of so many bits."""
        if not self.path.is_file():
            raise ValueError(f"{self.path}: no such file")
        if self.form != "b8":
            return len(self._whole())
        size = self.path.stat().st_size
        if not self.width or size % self.width:
            raise ValueError(
                f"{self.path}: expected a multiple of {self.width} bytes (the circuit has "
                f"{self.bits} {self.what}), got {size:,} bytes: the file was cut off, or belongs "
                "to another circuit"
            )
        return size // self.width

    def read(self, start: int, stop: int) -> Bits:
        """Shots start..stop-1, [shots, bytes]; ValueError if they set bits that there are not."""
        if self.form == "b8":
            mapped = np.memmap(
                self.path, dtype=np.uint8, mode="r", shape=(self.shots(), self.width)
            )
            found = np.array(mapped[start:stop])
        else:
            found = self._whole()[start:stop]
        spare = self.bits % 8
        if spare and np.any(found[:, -1] >> spare):
            raise ValueError(
                f"{self.path}: a shot has bits beyond the circuit's {self.bits} {self.what}: "
                "the file belongs to another circuit, or packs bits in another order than stim's b8"
            )
        return found

    def digest(self) -> str:
        """The SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _whole(self) -> Bits:
        stat = self.path.stat()
        return _read_whole(self, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _read_whole(file: ShotFile, size: int, changed_ns: int) -> Bits:
    """All shots; size and time tell a file that was written anew from the one that was read."""
    what: Any = {
        "sweep bits": "num_measurements",
        "measurements": "num_measurements",
        "detectors": "num_detectors",
        "observables": "num_observables",
    }[file.what]
    if file.form not in FORMATS:
        raise ValueError(
            f"{file.path}: its ending is none of stim's formats ({', '.join(FORMATS)})"
        )
    try:
        found: Any = stim.read_shot_data_file(
            path=file.path, format=file.form, bit_packed=True, **{what: file.bits}
        )
    except (ValueError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{file.path}: expected {file.form} data of {file.bits} {file.what} a shot: {reason}"
        ) from None
    return found
