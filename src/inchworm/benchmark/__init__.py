"""Step 4: eval sets out of production, trials of two configurations on them, and the gate."""
