"""Tests of the rules with promtool: each case separately, with the rules that it needs."""
