"""`syndrift doctor`: versions, extras and self-tests, with what to do about what fails."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import pathlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator

EPILOG = """\
Each line is one check: `ok`, `missing` (an optional part, with the command that gets it), `warning`
or `FAILED` (each with what to do). The exit status is 1 when a check failed.
"""

PACKAGES = ("calib", "decoders", "envs", "scripts")
EXTRAS = {
    "bp": ("ldpc", "beliefmatching"),
    "tesseract": ("tesseract_decoder",),
    "chromobius": ("chromobius",),
    "qiskit": ("qiskit",),
    "device": ("torch", "qiskit_experiments"),
    "ibm": ("qiskit", "qiskit_ibm_runtime", "rustworkx"),
    "aer": ("qiskit_aer",),
    "neural": ("torch", "safetensors", "onnx", "onnxruntime", "onnxscript", "tensorboard"),
    "agents": (
        "gymnasium",
        "stable_baselines3",
        "sb3_contrib",
        "tensorboard",
        "cmaes",
        "bayes_opt",
    ),
    "cluster": ("ray",),
    "docs": ("mkdocs", "material", "mkdocstrings", "latex2mathml"),
}


@dataclasses.dataclass(frozen=True)
class Check:
    """One finding: `state` is ok, missing, warning or FAILED; `remedy` says what to do."""

    name: str
    state: str
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Makes every check and prints what it found."""
    begun = time.monotonic()
    checks = list(all_checks())
    failed = [check for check in checks if check.state == "FAILED"]
    seconds = time.monotonic() - begun
    if options.json:
        found = [dataclasses.asdict(check) for check in checks]
        print(json.dumps({"ok": not failed, "checks": found, "seconds": round(seconds, 1)}))
        return 1 if failed else 0
    for check in checks:
        print(f"{check.state:8} {check.name:26} {check.detail}")
        if check.remedy:
            print(f"{'':8} {'':26} -> {check.remedy}")
    missing = sum(check.state == "missing" for check in checks)
    fine = sum(check.state == "ok" for check in checks)
    print(f"\n{fine} ok, {missing} missing, {len(failed)} failed "
          f"in {seconds:.0f} s")  # fmt: skip
    return 1 if failed else 0


def all_checks() -> Iterator[Check]:
    """The checks in the order in which they are printed."""
    yield _python()
    for package in ("stim", "sinter", "pymatching", "numpy", "scipy", "pydantic", "matplotlib"):
        yield _version(package)
    for extra, modules in EXTRAS.items():
        yield _extra(extra, modules)
    yield _accounts()
    for name in PACKAGES:
        yield _not_shadowed(name)
    for name, test in _SELF_TESTS.items():
        yield _self_test(name, test)


def _python() -> Check:
    version = platform.python_version()
    good = (3, 11) <= tuple(map(int, version.split(".")[:2])) < (3, 14)
    remedy = "" if good else "use Python 3.11, 3.12 or 3.13"
    return Check("python", "ok" if good else "FAILED", version, remedy)


def _version(package: str) -> Check:
    try:
        return Check(package, "ok", importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(package, "FAILED", "not installed", "pip install syndrift")


def _extra(extra: str, modules: tuple[str, ...]) -> Check:
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        remedy = f"pip install 'syndrift[{extra}]'"
        return Check(f"extra {extra}", "missing", ", ".join(absent), remedy)
    return Check(f"extra {extra}", "ok", ", ".join(modules))


def _accounts() -> Check:
    """Whether others can read the IBM accounts that are saved here."""
    from calib.runtime.credentials import accounts_file_warning

    warning = accounts_file_warning()
    if warning is None:
        return Check("IBM accounts", "ok", "none that others can read")
    what, _, remedy = warning.partition(": ")
    return Check("IBM accounts", "warning", what, remedy)


def _not_shadowed(name: str) -> Check:
    """Whether a package of ours is ours: the names are common, another package may ship one."""
    ours = pathlib.Path(__file__).resolve().parents[1]
    spec = importlib.util.find_spec(name)
    found = pathlib.Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
    if found != ours:
        where = "nowhere" if found is None else str(found / name)
        remedy = "uninstall or rename that package, or run from another folder"
        return Check(f"package {name}", "FAILED", f"found in {where}, not in {ours}", remedy)
    owners = set(importlib.metadata.packages_distributions().get(name, [])) - {"syndrift"}
    if owners:
        remedy = f"pip uninstall {' '.join(sorted(owners))}, or use another environment"
        return Check(f"package {name}", "FAILED", f"also shipped by {sorted(owners)}", remedy)
    here = pathlib.Path.cwd() / name
    if here.resolve().parent != ours and (here.is_dir() or here.with_suffix(".py").exists()):
        remedy = "a script or notebook started in this folder would import that instead"
        return Check(f"package {name}", "FAILED", f"{here} hides ours", remedy)
    return Check(f"package {name}", "ok", str(ours / name))


def _self_test(name: str, test: Callable[[], str | None]) -> Check:
    try:
        detail = test()
    except Exception as error:  # a self-test reports whatever goes wrong, and goes on
        return Check(name, "FAILED", f"{type(error).__name__}: {error}", "please report this")
    if detail is None:
        return Check(name, "missing", "needs qiskit", "pip install 'syndrift[qiskit]'")
    return Check(name, "ok", detail)


def _expect(good: bool, message: str) -> None:
    if not good:
        raise RuntimeError(message)


def _sampler_seed() -> str:
    from decoders.codes import memory_circuit
    from decoders.noise import Depolarizing
    from decoders.shots import NumberedShots

    noiseless = memory_circuit("rotated-surface", distance=3, rounds=3)
    circuit = Depolarizing(p=0.01).apply(noiseless)
    whole, _ = NumberedShots(circuit, seed=1).take(0, 4096)
    piece, _ = NumberedShots(circuit, seed=1).take(1000, 3000)
    other, _ = NumberedShots(circuit, seed=2).take(0, 4096)
    _expect(bool((whole[1000:3000] == piece).all()), "the same seed gave other shots")
    _expect(bool((whole != other).any()), "another seed gave the same shots")
    return "shots 1000 to 2999 are the same alone and among 4096"


def _b8_round_trip() -> str:
    import numpy as np
    import stim

    bits = np.random.default_rng(1).random((100, 13)) < 0.5
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "shots.b8"
        stim.write_shot_data_file(data=bits, path=path, format="b8", num_detectors=13)
        raw = np.fromfile(path, dtype=np.uint8).reshape(100, 2)
        back = stim.read_shot_data_file(path=path, format="b8", num_detectors=13)
    _expect(bool((back == bits).all()), "stim read other bits than it wrote")
    packed = np.packbits(bits, axis=1, bitorder="little")
    _expect(bool((raw == packed).all()), "a .b8 file is not packed little-endian")
    return "100 shots of 13 bits, written, read and unpacked"


def _known_matching() -> str:
    import numpy as np
    import pymatching
    import stim

    # A chain of three checks, likely at its ends: 0 and 2 fired are two ends, not the middle.
    model = stim.DetectorErrorModel(
        "error(0.1) D0 L0\nerror(0.001) D0 D1\nerror(0.001) D1 D2\nerror(0.1) D2"
    )
    matching = pymatching.Matching.from_detector_error_model(model)
    answer = matching.decode(np.array([1, 0, 1], dtype=np.uint8))
    _expect(list(answer) == [1], f"expected the observable to flip, got {list(answer)}")
    return "D0 and D2 go to their own ends"


def _bit_order() -> str | None:
    if importlib.util.find_spec("qiskit") is None:
        return None
    import stim
    from qiskit import QuantumCircuit
    from qiskit.primitives import StatevectorSampler

    # One-hot: qubit 0 alone is 1. stim's record begins with it, Qiskit's text ends with it.
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.measure_all()
    result = StatevectorSampler(seed=1).run([circuit], shots=8).result()[0]
    (text,) = result.data["meas"].get_counts()
    record = stim.Circuit("X 0\nM 0 1 2").compile_sampler().sample(1)[0]
    ours = [int(bit) for bit in record]
    _expect([int(bit) for bit in reversed(text)] == ours, f"Qiskit {text}, stim {ours}")
    return f"Qiskit's {text} is stim's {ours}"


def _collection() -> str:
    from decoders.evaluate import evaluate
    from decoders.evaluate_config import EvaluateConfig

    config = EvaluateConfig.model_validate(
        {
            "code": {"name": "repetition", "distance": 3},
            "noise": {"kind": "depolarizing", "p": 0.1},
            "decoders": ["pymatching"],
            "stop": {"max_shots": 2000},
            "workers": 1,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        (row,) = evaluate(config, pathlib.Path(folder) / "counts.csv")
    _expect(row.shots == 2000 and row.errors > 0, f"{row.shots} shots, {row.errors} errors")
    return f"a worker of sinter's counted {row.errors} errors in {row.shots} shots"


_SELF_TESTS: dict[str, Callable[[], str | None]] = {
    "sampler seed": _sampler_seed,
    ".b8 round trip": _b8_round_trip,
    "matching, known answer": _known_matching,
    "bit order, Qiskit and stim": _bit_order,
    "collection": _collection,
}
