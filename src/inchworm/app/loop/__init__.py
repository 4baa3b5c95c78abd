"""The steps of the loop wired together: one module per thing that a person can ask for."""
