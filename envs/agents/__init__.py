"""The players: agents that learn to calibrate, their training, and what is kept of them.

`TrainConfig` says what to train (in `envs.agents.config`), `train` trains it into a folder (in
`envs.agents.training`), `load_policy` brings it back to act (in `envs.agents.checkpoint`). They
stand in modules of their own because stable-baselines3 takes seconds to import.
"""
