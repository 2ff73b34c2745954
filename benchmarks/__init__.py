"""Benchmarks: each path compared with its peers and its theoretical limit, alternating, in one run."""
