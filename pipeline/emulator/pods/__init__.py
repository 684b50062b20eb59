"""Pods: what the driver asks Kubernetes for, and three ways to run it on one machine."""
