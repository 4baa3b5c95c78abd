"""Step 6: which layer did it, and which cases the next change should be measured on."""
