"""Floor 1, the device: pulse physics, drift, calibration experiments and their history."""
