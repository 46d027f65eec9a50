"""Dukou's service: a database of listings, a live search over it, an API, a page and a command line."""
