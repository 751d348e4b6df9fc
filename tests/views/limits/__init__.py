"""Tests of the view of sizes."""
