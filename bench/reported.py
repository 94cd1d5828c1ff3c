"""Workloads that users of the original reported as failing."""

REPORTED = []
