"""`robotrain data`: datasets checked and viewed where the user sits; no job carries this."""
