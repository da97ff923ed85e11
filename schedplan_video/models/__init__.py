"""Networks, built from shared blocks."""
