"""What a prolongation is, and the closed forms."""
