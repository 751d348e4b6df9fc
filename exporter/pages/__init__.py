"""What people read in a browser: how everything stands, in words and as pages that keep themselves up to date."""
