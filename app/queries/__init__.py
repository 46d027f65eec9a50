"""Every select of the service, by subject: plain functions that take a session."""
