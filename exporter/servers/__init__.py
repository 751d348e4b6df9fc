"""Servers: asks each server of an ensemble for its own numbers, in the background, and gives them their known names."""
