"""What the benchmark of the gateway is made of: callers, providers, peers, and what takes long."""
