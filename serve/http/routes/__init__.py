"""The routes of the service, by concern."""
