"""A decoder that leaves a mark of the node on which it works: the name of its network namespace."""

import os
import pathlib
import time

import numpy as np
import sinter


class Marks(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        marks = pathlib.Path(os.environ["MARKS"])
        (marks / os.readlink("/proc/self/ns/net").strip("net:[]")).touch()
        return Nothing()


class Nothing(sinter.CompiledDecoder):
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        time.sleep(1e-4 * len(bit_packed_detection_event_data))
        return np.zeros((len(bit_packed_detection_event_data), 1), dtype=np.uint8)
