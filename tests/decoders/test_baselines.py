"""The registry of decoders: the common contract, finding decoders by name, sinter's own command."""

from __future__ import annotations

import csv
import importlib.metadata
import itertools
import pathlib
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import sinter
import stim

import decoders
from decoders.baselines import (
    BASELINES,
    MissingExtra,
    custom_decoders_of,
    resolve_decoder,
    sinter_decoders,
)
from decoders.baselines.bposd import check_matrices
from decoders.dem import checked_model, mechanisms
from tests.decoders import conformance

MATCHING = ("pymatching", "pymatching-correlated", "ensemble", "belief-matching")
NAMES = (*MATCHING, "bposd", "tesseract", "chromobius", "neural", "pre-decoder")
NEURAL = ("neural", "pre-decoder")

# Those that do not put every single error right: correlated matching reweights by its first, plain
# matching; chromobius drags excitations; a network promises nothing, this one has seen 256 shots.
GREEDY = ("pymatching-correlated", "chromobius", "neural")


PROMISED = [
    pytest.param(name, check, id=f"{name}-{check.__name__}")
    for name in NAMES
    for check in conformance.CHECKS
    if not (name in GREEDY and check is conformance.check_single_errors)
]


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(("name", "check"), PROMISED)
def test_conformance(name: str, check: conformance.Check) -> None:
    baseline = BASELINES[name]
    circuit = conformance.circuit_for(baseline.error_model)
    model = checked_model(baseline.error_model, circuit).error_model
    check(baseline.decoder, model, np.random.default_rng(1))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("chromobius", *NEURAL)])
@pytest.mark.parametrize("copies", [9, 70])
def test_more_observables_than_a_byte_or_a_word(name: str, copies: int) -> None:
    conformance.check_many_observables(sinter_decoders()[name], copies=copies)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("name", GREEDY)
def test_greedy_decoders_put_most_single_errors_right(name: str) -> None:
    baseline = BASELINES[name]
    circuit = conformance.circuit_for(baseline.error_model)
    model = checked_model(baseline.error_model, circuit).error_model
    symptoms = {m.symptoms for m in mechanisms(model)}
    compiled = baseline.decoder.compile_decoder_for_dem(dem=model)
    wrong = 0
    for detectors, observables in symptoms:
        events = np.zeros((1, model.num_detectors), dtype=bool)
        events[0, sorted(detectors)] = True
        answer = conformance.answers_of(compiled, np.packbits(events, axis=1, bitorder="little"))
        wrong += int(answer[0, 0]) != sum(1 << k for k in observables)
    assert wrong <= 0.03 * len(symptoms)


# The registry


def test_all_are_there_and_picklable() -> None:
    assert tuple(sinter_decoders()) == NAMES
    assert decoders.sinter_decoders is sinter_decoders
    for decoder in sinter_decoders().values():
        assert isinstance(decoder, sinter.Decoder)
        assert type(pickle.loads(pickle.dumps(decoder))) is type(decoder)


def test_importing_is_light() -> None:
    probe = (
        "import sys, decoders; decoders.sinter_decoders(); "
        "print([m for m in ('scipy', 'pymatching', 'ldpc', 'beliefmatching', "
        "'tesseract_decoder', 'chromobius', 'matplotlib', 'torch', 'safetensors') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name, entry in BASELINES.items() if entry.extra])
def test_a_missing_package_is_named_with_its_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = BASELINES[name]
    for module in (baseline.package, "ldpc.bposd_decoder", "tesseract_decoder.tesseract"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it raises ImportError
    pattern = rf"pip install 'syndrift\[{baseline.extra}\]'"
    with pytest.raises(MissingExtra, match=pattern) as caught:
        resolve_decoder(name)
    assert "\n" not in str(caught.value)
    model = checked_model(baseline.error_model, conformance.circuit_for(baseline.error_model))
    with pytest.raises(MissingExtra, match=pattern):
        baseline.decoder.compile_decoder_for_dem(dem=model.error_model)


# What each decoder does with its model


def test_bposd_matrices_by_hand() -> None:
    dem = stim.DetectorErrorModel("""
        error(0.1) D0 D1 L0
        error(0.2) D0 ^ D1 L0
        error(0.1) D0 D1
        error(0) D2
        error(0.3) L1
        repeat 2 {
            error(0.25) D2 L1
            shift_detectors 1
        }
    """)
    checks, flips, probabilities = check_matrices(dem)
    # Equal symptoms join: 0.1 (1 - 0.2) + 0.2 (1 - 0.1) = 0.26; other observables do not.
    np.testing.assert_allclose(probabilities, [0.26, 0.1, 0.25, 0.25])
    np.testing.assert_array_equal(
        checks.toarray(), [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )
    np.testing.assert_array_equal(flips, [[1, 0], [0, 0], [0, 1], [0, 1]])


def _most_likely_flips(dem: stim.DetectorErrorModel, events: np.ndarray) -> np.ndarray:
    """The observables of the single most likely set of errors, by going through all sets."""
    errors = [(m.probability, *m.symptoms) for m in mechanisms(dem)]
    best: dict[tuple[bool, ...], tuple[float, np.ndarray]] = {}
    for chosen in itertools.product((False, True), repeat=len(errors)):
        weight, fired, flipped = 1.0, [False] * dem.num_detectors, [False] * dem.num_observables
        for on, (probability, detectors, observables) in zip(chosen, errors, strict=True):
            weight *= probability if on else 1 - probability
            for k in detectors if on else ():
                fired[k] ^= True
            for k in observables if on else ():
                flipped[k] ^= True
        key = tuple(fired)
        if key not in best or weight > best[key][0]:
            best[key] = (weight, np.array(flipped))
    return np.array([best[tuple(map(bool, shot))][1] for shot in events])


@pytest.mark.parametrize("name", ["bposd", "tesseract"])
def test_hyperedge_decoders_find_the_most_likely_error(name: str) -> None:
    dem = stim.DetectorErrorModel("""
        error(0.011) D0 D1 D2 L0
        error(0.013) D0
        error(0.017) D1 L1
        error(0.019) D2 D3
        error(0.023) D3 L0
        error(0.029) D1 D2 L1
        error(0.007) D0 D3
    """)
    events = np.array(list(itertools.product((False, True), repeat=4)))
    compiled = sinter_decoders()[name].compile_decoder_for_dem(dem=dem)
    answers = conformance.answers_of(compiled, np.packbits(events, axis=1, bitorder="little"))
    expected = np.packbits(_most_likely_flips(dem, events), axis=1, bitorder="little")
    np.testing.assert_array_equal(answers, expected)


@pytest.mark.parametrize("name", ["tesseract", "bposd", "pymatching", "belief-matching"])
def test_observables_that_nothing_flips_are_answered_too(name: str) -> None:
    dem = stim.DetectorErrorModel("error(0.1) D0 L0\nlogical_observable L9")
    compiled = sinter_decoders()[name].compile_decoder_for_dem(dem=dem)
    answers = conformance.answers_of(compiled, np.array([[0], [1]], dtype=np.uint8))
    np.testing.assert_array_equal(answers, [[0, 0], [1, 0]])


@pytest.mark.parametrize("name", ["tesseract", "bposd"])
def test_a_model_without_errors_gets_silence(name: str) -> None:
    dem = stim.DetectorErrorModel("detector D2\nlogical_observable L0")
    compiled = sinter_decoders()[name].compile_decoder_for_dem(dem=dem)
    answers = conformance.answers_of(compiled, np.array([[0], [5]], dtype=np.uint8))
    np.testing.assert_array_equal(answers, [[0], [0]])


@pytest.mark.parametrize("name", ["pymatching", "pymatching-correlated", "belief-matching"])
def test_matching_refuses_what_it_would_drop(name: str) -> None:
    dem = stim.DetectorErrorModel("error(0.1) D0 D1 D2 L0\nerror(0.1) D0\nerror(0.1) D1 D2")
    with pytest.raises(ValueError, match=r"1 hyperedge .* D0 D1 D2 L0.*bposd"):
        sinter_decoders()[name].compile_decoder_for_dem(dem=dem)


def test_chromobius_refuses_models_without_colors() -> None:
    dem = conformance.circuit_for("graphlike").detector_error_model()
    with pytest.raises(ValueError, match="chromobius needs a fourth coordinate"):
        sinter_decoders()["chromobius"].compile_decoder_for_dem(dem=dem)


# Finding a decoder

OWN = textwrap.dedent("""
    import numpy as np
    import sinter

    class Silent(sinter.Decoder):
        error_model = "full"
        batch_shots = 7

        def compile_decoder_for_dem(self, *, dem):
            return SilentCompiled(dem)

    class SilentCompiled(sinter.CompiledDecoder):
        def __init__(self, dem):
            self.width = (dem.num_observables + 7) // 8

        def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
            return np.zeros((len(bit_packed_detection_event_data), self.width), dtype=np.uint8)

    class Parrot(sinter.Decoder):
        '''Through files only: answers with the first byte of the events.'''

        def decode_via_files(self, *, num_shots, num_dets, num_obs, dem_path, dets_b8_in_path,
                             obs_predictions_b8_out_path, tmp_dir):
            events = np.fromfile(dets_b8_in_path, dtype=np.uint8).reshape(num_shots, -1)
            assert dem_path.exists()
            (events[:, :1] & 1).tofile(obs_predictions_b8_out_path)

    class Needy(Silent):
        def __init__(self, path):
            pass

    class BadKind(Silent):
        error_model = "edges"

    class BadBatch(Silent):
        batch_shots = 0

    instance = Silent()
    number = 3

    def make():
        return Silent()

    def broken():
        return 3

    def decoders():
        return {"silent": Silent(), "parrot": Parrot()}

    def clash():
        return {"pymatching": Silent()}
""")


@pytest.fixture
def own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with decoders of a user's own in the current directory."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.parametrize("name", NAMES)
def test_registry_names_resolve(name: str) -> None:
    resolved = resolve_decoder(name)
    assert (resolved.name, resolved.spec, resolved.batch_shots) == (name, name, None)
    matching = (*MATCHING, *NEURAL)
    expected = "graphlike" if name in matching else "color" if name == "chromobius" else "full"
    assert resolved.error_model == expected


@pytest.mark.parametrize("what", ["Silent", "instance", "make"])
def test_own_decoders_as_class_instance_or_function(own: str, what: str) -> None:
    resolved = resolve_decoder(f"{own}:{what}")
    assert type(resolved.decoder).__name__ == "Silent"
    assert (resolved.name, resolved.error_model, resolved.batch_shots) == (
        f"{own}:{what}",
        "full",
        7,
    )


def test_own_decoders_that_work_through_files(own: str) -> None:
    resolved = resolve_decoder(f"{own}:Parrot")
    assert (resolved.error_model, resolved.batch_shots) == ("graphlike", None)
    model = checked_model("graphlike", conformance.circuit_for("graphlike")).error_model
    compiled = resolved.decoder.compile_decoder_for_dem(dem=model)
    events = conformance.drawn(model, 50, np.random.default_rng(5))
    for shots in (50, 3, 1, 0):
        answers = conformance.answers_of(compiled, events[:shots])
        np.testing.assert_array_equal(answers, events[:shots, :1] & 1)


def test_custom_functions_of_sinter(own: str) -> None:
    custom = custom_decoders_of((f"{own}:decoders",))
    assert list(custom) == ["silent", "parrot"]
    assert resolve_decoder("silent", custom=custom).batch_shots == 7
    assert resolve_decoder("pymatching", custom=custom).decoder is sinter_decoders()["pymatching"]
    assert custom_decoders_of(()) == {}


def test_entry_points(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = importlib.metadata.EntryPoints(
        importlib.metadata.EntryPoint(name, f"{own}:{value}", "syndrift.decoders")
        for name, value in (("quiet", "Silent"), ("gone", "Nothing"))
    )
    monkeypatch.syspath_prepend(".")
    monkeypatch.setattr(
        "decoders.baselines.resolve.importlib.metadata.entry_points", lambda group: plugins
    )
    assert resolve_decoder("quiet").batch_shots == 7
    with pytest.raises(ValueError, match=r"decoder plugin gone .*Nothing"):
        resolve_decoder("gone")
    with pytest.raises(ValueError, match=r"no decoder `quite`; did you mean `quiet`\?"):
        resolve_decoder("quite")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "pymatchign",
            r"no decoder `pymatchign`; did you mean `pymatching`\? Decoders: pymatching,",
        ),
        (
            "zzz",
            r"no decoder `zzz`. Decoders: .*, pre-decoder, your own as module:name, or .*\.safe",
        ),
        ("nowhere:x", "there is no module nowhere in the current directory"),
        ("decoders.nowhere:x", "there is no module decoders.nowhere"),
        ("{own}:Silnt", r"has no `Silnt`; did you mean `Silent`\?"),
        ("{own}:Needy", r"cannot be called without arguments.*path"),
        ("{own}:number", "neither a decoder nor a function, got builtins.int"),
        ("{own}:broken", "must be a sinter.Decoder .* got builtins.int"),
        ("{own}:BadKind", "error_model must be 'graphlike' or 'full', got 'edges'"),
        ("{own}:BadBatch", "batch_shots must be a whole number from 1, got 0"),
        ("{own}:", "expected module:name"),
        ("a:b:c", "expected module:name"),
    ],
)
def test_what_cannot_be_found_is_said_in_one_line(own: str, spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        resolve_decoder(spec.format(own=own))
    assert "\n" not in str(caught.value)


def test_custom_functions_that_do_not_fit(own: str) -> None:
    with pytest.raises(ValueError, match=r"must return a dict of name to sinter\.Decoder"):
        custom_decoders_of((f"{own}:make",))
    with pytest.raises(ValueError, match="two custom-decoder functions name a decoder `silent`"):
        custom_decoders_of((f"{own}:decoders", f"{own}:decoders"))
    custom = custom_decoders_of((f"{own}:clash",))
    with pytest.raises(ValueError, match="both a decoder of syndrift's and one of your custom"):
        resolve_decoder("pymatching", custom=custom)


# sinter's own command line


def test_sinter_collect_takes_all_of_them(tmp_path: pathlib.Path) -> None:
    names = [name for name in NAMES if name not in NEURAL]  # none is shipped for color codes
    conformance.circuit_for("color").to_file(tmp_path / "color.stim")
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from sinter._command._main import main; main()",
            "collect",
            *("--circuits", "color.stim", "--decoders", *names),
            *("--custom_decoders_module_function", "decoders:sinter_decoders"),
            *("--max_shots", "300", "--processes", "2", "--save_resume_filepath", "out.csv"),
            "--quiet",
        ],
        cwd=tmp_path,
        check=True,
        timeout=120,
        capture_output=True,
    )
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [{k.strip(): v.strip() for k, v in row.items()} for row in csv.DictReader(file)]
    shots = {name: sum(int(r["shots"]) for r in rows if r["decoder"] == name) for name in names}
    assert shots == dict.fromkeys(names, 300)
