"""The mathematics of decisions: e-processes, paired tests, factorial effects, power. No I/O, no domain."""
