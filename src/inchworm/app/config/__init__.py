"""``inchworm.yaml``: its keys, reading it, and writing a first one."""
