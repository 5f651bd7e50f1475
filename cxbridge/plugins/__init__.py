"""The shipped connectors, one package per vendor; each imports `cxbridge.core.connector` alone of the project.

They come in through the entry-point group `cxbridge.plugins`, as foreign ones do, and never see each other.
"""
