"""A deployment from its recipe to its results in a ledger."""

import pathlib
from typing import Any

from calib.runtime.ledger import Ledger
from calib.runtime.order import Limits, Service
from calib.runtime.progress import Progress
from calib.runtime.runner import Runner
from decoders.deploy.config import DeployConfig
from decoders.deploy.plan import Plan, plan
from decoders.deploy.services import backend_of, service_of

LINES = {  # on fake_torino
    "repetition:3": (32, 33, 37, 52, 51),
    "repetition:5": (60, 61, 62, 63, 73, 82, 81, 80, 92),
}


def config_of(memory: str, **changes: Any) -> DeployConfig:
    """A recipe, at a known line of fake_torino if nothing else is said."""
    given = {"backend": "fake_torino", "memory": memory, "placement": LINES.get(memory),
             "decoders": ("pymatching",)}  # fmt: skip
    return DeployConfig.model_validate(given | changes).each()[0]


def planned(config: DeployConfig, limits: Limits | None = None) -> Plan:
    """What would be sent."""
    service = service_of(config)
    return plan(config, backend_of(config, service), limits or service.limits(config.backend))


def run(ledger: Ledger, made: Plan, service: Service | None = None) -> tuple[int, Progress]:
    """Sends and fetches all; the deployment's number."""
    number = made.write(ledger)
    runner = Runner(ledger, service or service_of(made.config), say=lambda text: None)
    runner.submit(number)
    return number, runner.advance(number, wait=True)


def deployed(path: pathlib.Path, config: DeployConfig, limits: Limits | None = None) -> int:
    """The number of a deployment that ran as the recipe says, in a ledger there."""
    with Ledger.open(path) as ledger:
        number, progress = run(ledger, planned(config, limits))
    assert progress.stopped is None
    return number
