"""Speed and memory beside the usual way of doing it: `python -m benchmarks [NAME ...]`."""
