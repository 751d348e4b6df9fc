"""Tests of the packs: each with the znodes of its system, as that writes them."""
