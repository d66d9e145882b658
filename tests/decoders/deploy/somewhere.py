"""A placement of a circuit on a backend: the first that fits; and a backend's target."""

from typing import Any, cast

import rustworkx
from qiskit.providers import BackendV2
from qiskit.transpiler import Target

from calib.snapshot import Snapshot
from decoders.deploy.lower import Lowered


def somewhere(lowered: Lowered, snapshot: Snapshot) -> list[int]:
    """The device's qubit for each of the circuit."""
    device, wanted = rustworkx.PyGraph(), rustworkx.PyGraph()
    device.add_nodes_from(range(snapshot.num_qubits))
    device.add_edges_from_no_data(sorted(snapshot.couplings))
    wanted.add_nodes_from(range(len(lowered.qubits)))
    wanted.add_edges_from_no_data(list(lowered.pairs))
    found = next(iter(rustworkx.vf2_mapping(device, wanted, subgraph=True, induced=False)))
    place = {circuit: device for device, circuit in found.items()}
    return [place[k] for k in range(len(lowered.qubits))]


def target_of(backend: BackendV2) -> Target:
    """The target, which every backend here has."""
    return cast(Target, cast(Any, backend).target)
