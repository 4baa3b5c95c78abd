"""The whole loop on recorded traffic of a real model: a small fictional shop and its Tuesday deploy."""
