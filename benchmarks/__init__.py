"""Measurements of cxbridge on this machine, over loopback only: `python -m benchmarks [all|pull|plan|…]`."""
