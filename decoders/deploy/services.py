"""Services by name, and the backends that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calib.from_backend import fake_backend
from decoders.deploy.config import DeployConfig
from decoders.deploy.local import AerService, StimService

if TYPE_CHECKING:
    from qiskit.providers import BackendV2

    from calib.runtime.order import Service


def service_of(config: DeployConfig) -> Service:
    """The service that the recipe names, made anew: none is ever stored."""
    if config.service == "ibm":
        from calib.runtime.ibm import IbmService

        return IbmService()
    return {"stim": StimService, "aer": AerService}[config.service](config.noise)


def backend_of(config: DeployConfig, service: Service) -> BackendV2:
    """The recipe's backend: a fake one for local services."""
    if config.service == "ibm":
        if config.backend.startswith("fake_"):
            raise ValueError(f"{config.backend} runs here: leave service = 'ibm' out")
        from calib.runtime.ibm import IbmService

        assert isinstance(service, IbmService)
        return service.backend(config.backend)
    if config.backend.startswith("ibm_"):
        raise ValueError(
            f"{config.backend} is a real device's name: give service = 'ibm' (--service ibm), or a "
            "fake backend's name, such as fake_torino"
        )
    return fake_backend(config.backend)
