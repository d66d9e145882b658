"""Floor 3, the games: Gymnasium environments on the device, and their agents.

Importing this package registers its environments, as `gymnasium.make` does by itself for
`gymnasium.make("envs:syndrift/PulseCalibration-v0")`.
"""

import gymnasium

CALIBRATIONS = {
    "PulseCalibration": "envs.pulse",
    "CZCalibration": "envs.cz",
    "ECRCalibration": "envs.ecr",
    "ReadoutCalibration": "envs.readout",
    "DeviceCalibration": "envs.device",
}

CODES = {
    "SurfaceCodeSteering": "envs.steering",
    "Decoding": "envs.decoding",
    "MemoryDeployment": "envs.deployment",
}

for _name, _module in (CALIBRATIONS | CODES).items():
    gymnasium.register(
        f"syndrift/{_name}-v0",
        entry_point=f"{_module}:{_name}",
        vector_entry_point=f"{_module}:{_name}Vector",
    )
