"""Artifact folders: locations, files, manifests, and atomic writing."""
