"""The seam to kazoo: one client's session as an ordered stream, and the requests kazoo does not know."""
