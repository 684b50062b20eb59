"""Benchmarks that print ratios: each against the tool that one would use otherwise, in the same run, interleaved."""
