"""Rules: metrics of what is in znodes, described as data and kept up to date with each change."""
