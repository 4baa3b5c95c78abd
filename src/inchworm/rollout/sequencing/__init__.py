"""Taking a change apart: the order of its steps, what is coupled, how long it takes, what to do instead."""
