"""Sound to words and words to sound; usable without a telephone."""
