"""What may be deleted, and the deletion itself."""
