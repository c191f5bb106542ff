"""Runtimes: who computes a named network, on which device and in which precision."""
