"""The control plane and composition root: wiring, settings, the command line, the demo."""
