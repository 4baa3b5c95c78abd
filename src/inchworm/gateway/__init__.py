"""The data plane: resolves, forwards, records; lives without the control plane."""
