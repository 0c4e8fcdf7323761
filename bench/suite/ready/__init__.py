"""Suites that come with the package: `bench suite NAME`."""
