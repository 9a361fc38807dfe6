"""Which features of a layer carry a prediction, and whether removing them shows it."""
