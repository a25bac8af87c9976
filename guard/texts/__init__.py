"""What else there is to read in a text or in JSON of any shape, and how it is written anew."""
