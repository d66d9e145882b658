"""Decoders that only have sinter's older interface through files, given the compiled one."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

Bits = npt.NDArray[np.uint8]


class ViaFiles(sinter.Decoder):
    """Calls `decode_via_files` of the inner decoder for each batch; the model is written once."""

    def __init__(self, inner: Any):
        self.inner = inner

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`."""
        return _CompiledViaFiles(self.inner, dem)


class _CompiledViaFiles(sinter.CompiledDecoder):
    def __init__(self, inner: Any, dem: stim.DetectorErrorModel):
        self._inner = inner
        self._dem = dem
        self._folder = tempfile.TemporaryDirectory(prefix="syndrift-")
        self._path = pathlib.Path(self._folder.name)
        dem.to_file(self._path / "model.dem")

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        events, answers = self._path / "events.b8", self._path / "answers.b8"
        np.ascontiguousarray(bit_packed_detection_event_data).tofile(events)
        self._inner.decode_via_files(
            num_shots=len(bit_packed_detection_event_data),
            num_dets=self._dem.num_detectors,
            num_obs=self._dem.num_observables,
            dem_path=self._path / "model.dem",
            dets_b8_in_path=events,
            obs_predictions_b8_out_path=answers,
            tmp_dir=self._path,
        )
        width = (self._dem.num_observables + 7) // 8
        return np.fromfile(answers, dtype=np.uint8).reshape(-1, width)
