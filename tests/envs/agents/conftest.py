"""The toy stands in Gymnasium's registry, as a user's own would; torch takes one thread."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
import torch

from tests.envs.agents.toy import TOY, OffsetDevices


@pytest.fixture(scope="session", autouse=True)
def registered() -> None:
    entry: Any = OffsetDevices
    if TOY not in gymnasium.registry:
        gymnasium.register(TOY, vector_entry_point=entry)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
