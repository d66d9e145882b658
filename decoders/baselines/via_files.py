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
    """Calls `decode_via_files` of the inner decoder for each batch."""

    def __init__(self, inner: Any):
        self.inner = inner

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`."""
        return _CompiledViaFiles(self.inner, dem)


class _CompiledViaFiles(sinter.CompiledDecoder):
    def __init__(self, inner: Any, dem: stim.DetectorErrorModel):
        self._inner = inner
        self._dem = dem

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        shots = len(bit_packed_detection_event_data)
        width = (self._dem.num_observables + 7) // 8
        if not shots:
            return np.zeros((0, width), dtype=np.uint8)
        with tempfile.TemporaryDirectory(prefix="syndrift-") as folder:
            path = pathlib.Path(folder)
            self._dem.to_file(path / "model.dem")
            np.ascontiguousarray(bit_packed_detection_event_data).tofile(path / "events.b8")
            self._inner.decode_via_files(
                num_shots=shots,
                num_dets=self._dem.num_detectors,
                num_obs=self._dem.num_observables,
                dem_path=path / "model.dem",
                dets_b8_in_path=path / "events.b8",
                obs_predictions_b8_out_path=path / "answers.b8",
                tmp_dir=path,
            )
            answers = np.fromfile(path / "answers.b8", dtype=np.uint8)
        if answers.size != shots * width:
            raise ValueError(
                f"{type(self._inner).__qualname__}.decode_via_files must write {shots} x {width} "
                f"bytes of predictions, got {answers.size}"
            )
        return answers.reshape(shots, width)
