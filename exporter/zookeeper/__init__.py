"""One kazoo client's session as an ordered stream, and the requests that kazoo lacks."""
