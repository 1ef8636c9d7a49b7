"""Models on clouds of points for files that the user has."""
