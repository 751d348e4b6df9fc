"""Runs the tests in kazoo's wheel with and without our instrumentation on every client, and compares the outcomes."""
