"""Speed and memory compared with the usual way of doing it: `python -m benchmarks [NAME ...]`."""
