"""What was tried and is not in the library, kept with what it gave."""
