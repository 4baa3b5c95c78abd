"""``inchworm serve``: supervised gateway, server and a pool of processes, on one machine."""
